"""Texts with merge fields: what can be written, and what one person then reads."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from messaging import compose, expand, forecast, segments
from messaging.models import Message
from messaging.rendering import Field, TemplateError, parse
from subscribers.models import Subscriber
from tests.messaging.conftest import rolled_back

BLANKS = " \t\n\r\u00a0"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("", ()),
        ("Hello!", ("Hello!",)),
        ("Hi {{ first_name }}!", ("Hi ", Field("first_name", None), "!")),
        ("{{first_name}}{{last_name}}", (Field("first_name", None), Field("last_name", None))),
        ("{{ first_name|there }}", (Field("first_name", "there"),)),
        ("{{ first_name | dear friend }}", (Field("first_name", "dear friend"),)),
        ("{{ first_name| }}", (Field("first_name", ""),)),
        ("{{ first_name|a|b }}", (Field("first_name", "a|b"),)),
        ("{{\n first_name\n}}", (Field("first_name", None),)),
        ("{{ attributes.city }}", (Field("attributes.city", None),)),
        ("{{ attributes.Shoe-size_2 }}", (Field("attributes.Shoe-size_2", None),)),
        ("50% {off} } {", ("50% {off} } {",)),
        ("%(send)s %s %%", ("%(send)s %s %%",)),
    ],
)
def test_a_text_is_read_as_literals_and_fields(body, parts):
    assert parse(body).parts == parts


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{{ nickname }}", "There is no field “nickname”. Use one of first_name, "),
        ("{{ First_Name }}", "There is no field “First_Name”."),
        ("{{ }}", "There is no field “(nothing)”."),
        ("{{ |there }}", "There is no field “(nothing)”."),
        ("{{ attributes }}", "There is no field “attributes”."),
        ("{{ attributes. }}", "There is no field “attributes.”."),
        ("{{ attributes.my city }}", "There is no field “attributes.my city”."),
        ("{{ attributes.city' OR true -- }}", "There is no field “attributes.city' OR true --”"),
        ("{{ first_name); DROP TABLE x }}", "There is no field “first_name); DROP TABLE x”."),
        ("{{ %(send)s }}", "There is no field “%(send)s”."),
        ("{{ " + "x" * 300 + " }}", f"There is no field “{'x' * 40}”."),
        ("Hi {{ first_name", "A merge field is not closed"),
        ("Hi first_name }}", "A merge field is not closed"),
        ("Hi {{ first_name }", "A merge field is not closed"),
        ("Hi {{ first_name|there, see you in {{ attributes.city }}", "A merge field is not closed"),
        ("Hi {{ first_name, see you in {{ attributes.city }}", "A merge field is not closed"),
    ],
)
def test_a_field_that_can_not_be_read_is_refused_with_a_sentence(body, sentence):
    with pytest.raises(TemplateError) as refusal:
        parse(body)
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).endswith(".")


def test_the_fields_of_a_text_are_listed_in_order():
    fields = parse("{{ email }} and {{ phone|none }}").fields
    assert fields == (Field("email", None), Field("phone", "none"))


def read_by(world, person, body):
    """The preview of a text for one person: as they will read it, and its reason."""
    draft = compose.Draft(
        body=body, sender_name=world.identity.name, subscriber_ids=[person.pk], media_urls=MEDIA
    )
    found = forecast.preview(compose.check(draft), person.pk)
    return found.body, found.reason


MEDIA = ["https://example.com/a.jpg"]  # a text may then be empty


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Hi {{ first_name }}!", "Hi Ada!"),
        ("{{ full_name }} <{{ email }}>", "Ada Lovelace <ada@example.com>"),
        ("{{ first_name|there }}", "Ada"),
        ("In {{ attributes.city }}", "In 東京"),
        ("{{ attributes.quoted }}", """O'Brien says "100%" \\ %s %(send)s {{ x }}"""),
        ("{{ attributes.number }}", "7"),
        ("{{ attributes.2024 }}", "leap"),
        ("{{ attributes.nobody|it's 5 % off }}", "it's 5 % off"),
        ("{{ attributes.nobody|'; DROP TABLE x; -- }}", "'; DROP TABLE x; --"),
        ("100 % of %(send)s, %s and %%", "100 % of %(send)s, %s and %%"),
        ("{one} brace } {", "{one} brace } {"),
        ("a{{ attributes.nobody| }}b", "ab"),
        ("{{ attributes.nobody| }}", ""),
        ("", ""),
    ],
)
def test_a_person_reads_the_text_with_their_own_values(world, body, text):
    attributes = {
        "city": "東京",
        "quoted": """O'Brien says "100%" \\ %s %(send)s {{ x }}""",
        "number": 7,
        "2024": "leap",
    }
    ada = world.person(last_name="Lovelace", email="ada@example.com", attributes=attributes)
    assert read_by(world, ada, body) == (text, "")


def test_spaces_around_a_value_are_left_out(world):
    ada = world.person(first_name="  Ada ", last_name="")
    assert read_by(world, ada, "Hi {{ first_name }}, {{ full_name }}!") == ("Hi Ada, Ada!", "")


@pytest.mark.parametrize("blank", ["", "   ", "\t", "\n", "\u00a0 "])
@pytest.mark.parametrize("field", ["first_name", "attributes.city"])
def test_a_blank_value_counts_as_missing(world, field, blank):
    ada = world.person(first_name=blank, last_name="", attributes={"city": blank})
    assert read_by(world, ada, f"Hi {{{{ {field}|there }}}}!") == ("Hi there!", "")
    assert read_by(world, ada, f"Hi {{{{ {field} }}}}!")[1] == "missing_field"
    assert read_by(world, ada, f"{{{{ {field} }}}}")[1] == "missing_field"


@pytest.mark.parametrize("attributes", [{}, {"city": None}, {"City": "Denver"}])
def test_an_attribute_that_a_person_lacks_counts_as_missing(world, attributes):
    ada = world.person(attributes=attributes)
    assert read_by(world, ada, "In {{ attributes.city }}")[1] == "missing_field"


def test_one_missing_value_among_several_leaves_the_person_out(world):
    ada = world.person(first_name="Ada", last_name="")
    world.queued(ada, body="{{ first_name }} {{ last_name }} {{ email|none }}")
    message = world.message_to(ada)
    assert (message.state, message.reason) == ("suppressed", "missing_field")
    assert (message.body, message.segments) == ("", 0)


def test_a_text_may_hold_as_many_fields_as_fit(world):
    ada = world.person(first_name="A")
    world.queued(ada, body="{{ first_name|x }}\n" * 84)
    assert world.message_to(ada).body == "A\n" * 84


def test_a_text_of_which_nothing_may_be_left_is_refused(world):
    ada = world.person()
    for body in ("{{ first_name| }}", " {{ first_name| }}\n{{ email| }}"):
        with pytest.raises(compose.NotValid) as refusal:
            world.send(ada, body=body)
        assert [problem.field for problem in refusal.value.problems] == ["body"]
    world.send(ada, body="{{ first_name| }}", media_urls=MEDIA)
    world.send(ada, body="{{ first_name| }}{{ email|- }}")


NASTY = st.text(st.sampled_from(" %'\"\\;-()s{}$:\n\t\u00a0é€’😀ab"), max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6
)
LITERALS = NASTY.filter(lambda text: "{" not in text and "}" not in text)
NAMES = ("first_name", "last_name", "full_name", "phone", "email", "attributes.city")
PEOPLE = st.fixed_dictionaries(
    {
        "first_name": NASTY,
        "last_name": NASTY,
        "email": st.sampled_from(["", "ada@example.com"]),
        "attributes": st.fixed_dictionaries({}, optional={"city": NASTY | st.none()}),
    }
)
FIELDS = st.builds(Field, st.sampled_from(NAMES), st.none() | LITERALS.map(str.strip))


def written(part):
    if isinstance(part, str):
        return part
    default = "" if part.default is None else f"|{part.default}"
    return "{{ " + part.name + default + " }}"


def expected(parts, person):
    """What the person should read, or None where a value is missing: said in Python."""
    values = {
        **{name: getattr(person, name) for name in ("first_name", "last_name", "phone", "email")},
        "full_name": f"{person.first_name} {person.last_name}",
        "attributes.city": person.attributes.get("city") or "",
    }
    texts = [
        part if isinstance(part, str) else values[part.name].strip(BLANKS) or part.default
        for part in parts
    ]
    return None if None in texts else "".join(texts)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(LITERALS | FIELDS, min_size=1, max_size=5),
    st.lists(PEOPLE, min_size=1, max_size=6),
)
@example([Field("first_name", None)], [{"first_name": "%s"}, {"first_name": " "}])
def test_preview_forecast_and_message_say_the_same_text(world, parts, people):
    body = "".join(map(written, parts))
    with rolled_back():
        persons = [world.person(capability="no", **fields) for fields in people]
        send = world.send(*persons, body=body, media_urls=MEDIA)
        forecasted = forecast.forecast(send)
        previews = {person.pk: forecast.preview(send, person.pk) for person in persons}
        expand.run(send.pk)
        messages = {m.subscriber_id: m for m in Message.objects.filter(send=send)}
    for person in persons:
        text, preview, message = (
            expected(parts, person),
            previews[person.pk],
            messages[person.pk],
        )
        assert (message.state == "suppressed") == (preview.reason == "missing_field")
        assert (text is None) == (message.state == "suppressed")
        if text is not None:
            assert message.body == preview.body == text
            assert message.segments == preview.segments == segments.count(text).segments
    assert forecasted.segments == sum(message.segments for message in messages.values())


def test_the_one_renderer_reads_no_column_that_is_not_declared(world):
    secret = Subscriber.objects.create(phone="+9997777777", email="secret@example.com")
    for name in ("id", "s.email", "opted_out_at", "attributes", "imessage_capability"):
        with pytest.raises(compose.NotValid):
            read_by(world, secret, "{{ " + name + " }}")
