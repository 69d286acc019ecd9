"""The demo's data: of every case, in step with the simulator's rule, made once."""

import json
import stat
from collections import Counter
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from api import tokens
from api.models import Token
from config.demo.crowd import CASES, crowd, friends
from identifiers.e164 import is_unreal, normalize
from messaging import rendering
from messaging.models import Template
from senders.models import Gateway, Longcode, SenderIdentity
from simulator.numbers import has_imessage_by_rule
from subscribers.models import ConsentEvent, Group, OptIn, Subscriber
from subscribers.verification import verify

KEYS = {
    "url", "users", "token", "contiguity_token", "sender_name", "longcode_id", "from_number",
    "simulator_url", "group",
}  # fmt: skip


def test_every_case_is_in_the_crowd_and_among_the_friends():
    people = list(crowd(2400))
    assert len(people) == 2400
    assert Counter(person.case.name for person in people).keys() == {case.name for case in CASES}
    assert {person.case.name for person in friends()} == {c.name for c in CASES if c.has_phone}
    assert sum(case.share for case in CASES) == 1000


def test_what_we_record_of_a_person_is_what_the_simulator_will_say():
    for person in [*crowd(2400), *friends()]:
        if person.phone is None:
            continue
        has_imessage = has_imessage_by_rule(person.phone)
        if person.case.capability != "unknown":
            assert has_imessage == (person.case.capability == "yes"), person
        # Who goes by iMessage on trust must have it, or the forecast would not come true.
        assert has_imessage or not (person.case.is_opted_in and person.case.capability == "unknown")


def test_every_number_is_one_that_can_not_exist_and_nobodys_else():
    phones = [person.phone for person in [*crowd(20000), *friends()] if person.phone]
    lines = ["+14155550100", "+12125550110", "+13035550120"]
    assert all(is_unreal(phone) and normalize(phone) == phone for phone in phones)
    assert len({*phones, *lines}) == len(phones) + len(lines)


def test_the_crowd_is_the_same_every_time():
    assert list(crowd(300)) == list(crowd(300))


class Simulator:
    """Records what the demo tells the simulator."""

    def __init__(self, monkeypatch):
        self.calls = []
        monkeypatch.setattr("config.demo.senders._call", self._record)

    def _record(self, session, method, url, body):
        self.calls.append((method, url, body))


@pytest.fixture
def simulator(monkeypatch):
    return Simulator(monkeypatch)


def demo(var, **options):
    options = {"people": 300, "url": "http://127.0.0.1:8000", **options}
    call_command(
        "demo", var=var, simulator_url=options.pop("simulator_url", "http://sim.test"), **options
    )
    return json.loads((var / "demo.json").read_text())


@pytest.fixture
def facts(db, tmp_path, simulator):
    return demo(tmp_path)


def test_the_file_holds_what_a_newcomer_needs_for_their_eyes_only(facts, tmp_path):
    assert facts.keys() >= KEYS
    assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600
    assert [(name, role) for name, _, role in facts["users"]] == [
        ("marketing", "Marketing"), ("senderadmin", "Sender admin"), ("auditor", "Auditor"),
    ]  # fmt: skip
    assert facts["contiguity_token"].startswith("contiguity_sk_")
    longcode = Longcode.objects.get(number=facts["from_number"])
    assert longcode.public_id == facts["longcode_id"]
    assert longcode.identity.name == facts["sender_name"]


def test_everybody_can_sign_in_with_their_role(facts, client):
    for username, password, role in facts["users"]:
        user = User.objects.get(username=username)
        assert user.check_password(password)
        assert [group.name for group in user.groups.all()] == [role]
        assert user.is_staff == (role != "Marketing")


@pytest.mark.parametrize("name", ["token", "contiguity_token"])
def test_the_tokens_are_valid(facts, name):
    assert tokens.authenticate(f"Bearer {facts[name]}").scopes == Token.Scope.values


def _standing(phone, identity):
    person = Subscriber.objects.get(phone=phone)
    opt_in = OptIn.objects.filter(subscriber=person, identity=identity).first()
    return (
        person.imessage_capability,
        opt_in is not None and opt_in.is_opted_in,
        person.opted_out_at is not None,
        opt_in is not None and opt_in.opted_out_at is not None,
        person.first_name != "",
    )


@pytest.mark.parametrize(
    ("case", "standing"),
    [
        ("capable_opted_in", ("yes", True, False, False, True)),
        ("not_capable", ("no", True, False, False, True)),
        ("not_opted_in", ("yes", False, False, False, True)),
        ("unknown_opted_in", ("unknown", True, False, False, True)),
        ("unknown_not_opted_in", ("unknown", False, False, False, True)),
        ("not_capable_not_opted_in", ("no", False, False, False, True)),
        ("opted_out", ("yes", True, True, False, True)),
        ("opted_out_of_identity", ("yes", False, False, True, True)),
        ("missing_first_name", ("yes", True, False, False, False)),
    ],
)
def test_there_is_a_number_of_each_case_to_try_things_on(facts, case, standing):
    identity = SenderIdentity.objects.get(name=facts["sender_name"])
    assert _standing(facts["numbers"][case], identity) == standing


def test_flags_and_ledger_agree(facts):
    """Each flag has its entry, each entry its flag, and the chain holds."""
    ledger = ConsentEvent.objects
    main = SenderIdentity.objects.get(name=facts["sender_name"])
    out = Subscriber.objects.filter(opted_out_at__isnull=False)
    for entries, flags in (
        (ledger.filter(action="opt_in"), OptIn.objects.all()),
        (ledger.filter(action="opt_out", identity=main), OptIn.objects.exclude(opted_out_at=None)),
    ):
        pairs = entries.values_list("subscriber_id", "identity_id", "at")
        column = "opted_in_at" if entries[0].action == "opt_in" else "opted_out_at"
        assert set(pairs) == set(flags.values_list("subscriber_id", "identity_id", column))
    everything = ledger.filter(action="opt_out", scope="everything").values_list("subscriber", "at")
    assert set(everything) == set(out.values_list("pk", "opted_out_at"))
    assert verify().fault == ""


def test_the_groups_hold_the_crowd_and_the_friends(facts):
    assert Group.objects.get(name=facts["group"]).members.count() == 300
    assert Group.objects.get(name="Friends of the house").members.first().first_name == "Sam"
    assert Subscriber.objects.filter(phone=None).exists()


def test_every_template_can_be_read(facts):
    for template in Template.objects.all():
        assert rendering.parse(template.body)


def test_the_simulator_is_told_lines_callbacks_and_names(facts, simulator):
    lines = {
        url.rsplit("/", 1)[1]: body for method, url, body in simulator.calls if method == "PUT"
    }
    assert lines.keys() == {
        "hello%40tapback.example", "news%40tapback.example",
        "%2B14155550100", "%2B12125550110", "%2B13035550120",
    }  # fmt: skip
    gateway = Gateway.objects.get(name="Simulated iMessage")
    assert lines["hello%40tapback.example"] == {
        "route": "imessage",
        "label": "hello@tapback.example",
        "callback_url": gateway.callback_url,
        "signing_secret": gateway.credentials["signing_secret"],
    }
    people = [p for _, url, body in simulator.calls if "people" in url for p in body["people"]]
    assert {"number": "+14155550150", "name": "Sam Rivera"} in people


def test_a_second_start_keeps_everything(facts, tmp_path):
    before = Subscriber.objects.count(), ConsentEvent.objects.count(), Token.objects.count()
    assert demo(tmp_path) == facts
    assert before == (
        Subscriber.objects.count(), ConsentEvent.objects.count(), Token.objects.count(),
    )  # fmt: skip


def test_a_second_start_keeps_what_people_changed(facts, tmp_path):
    Group.objects.filter(name=facts["group"]).update(name="Summer open house")
    SenderIdentity.objects.filter(name=facts["sender_name"]).update(name="front@tapback.example")
    Template.objects.all().delete()
    again = demo(tmp_path)
    assert (again["group"], again["sender_name"]) == ("Summer open house", "front@tapback.example")
    assert again["group_id"] == facts["group_id"]
    assert not Template.objects.exists()


def test_a_second_start_elsewhere_moves_the_gateways(facts, tmp_path, simulator):
    again = demo(tmp_path, simulator_url="http://sim.test:9", url="http://127.0.0.1:9000")
    assert again["url"] == "http://127.0.0.1:9000"
    assert {gateway.base_url for gateway in Gateway.objects.all()} == {"http://sim.test:9"}
    assert simulator.calls[-1][1].startswith("http://sim.test:9/")


@pytest.mark.parametrize("content", [None, "", "[]", "{broken"])
def test_a_lost_file_gets_new_secrets_and_the_old_data(facts, tmp_path, content):
    file = tmp_path / "demo.json"
    file.unlink() if content is None else file.write_text(content)
    again = demo(tmp_path)
    assert again["token"] != facts["token"]
    assert tokens.authenticate(f"Bearer {again['token']}")
    for username, password, _ in again["users"]:
        assert User.objects.get(username=username).check_password(password)
    assert (again["group"], again["longcode_id"]) == (facts["group"], facts["longcode_id"])


def test_a_changed_password_is_not_changed_back(facts, tmp_path):
    user = User.objects.get(username="marketing")
    user.set_password("my own secret")
    user.save()
    demo(tmp_path)
    user.refresh_from_db()
    assert user.check_password("my own secret")


def test_a_revoked_token_is_replaced(facts, tmp_path):
    tokens.revoke(Token.objects.get(name="Demo (tapback)"))
    again = demo(tmp_path)
    assert again["token"] != facts["token"]
    assert again["contiguity_token"] == facts["contiguity_token"]


def test_an_installation_with_senders_of_its_own_is_left_alone(db, tmp_path, simulator):
    Gateway.objects.create(kind="twilio", name="Ours", base_url="https://carrier.test")
    with pytest.raises(CommandError, match="needs an empty one"):
        demo(tmp_path)
    assert not Subscriber.objects.exists()
    assert not (tmp_path / "demo.json").exists()


def test_a_missing_simulator_is_a_sentence(db, tmp_path):
    with pytest.raises(CommandError, match="Start it first"):
        demo(tmp_path, simulator_url="http://127.0.0.1:1", people=20)


def test_nothing_secret_is_printed(db, tmp_path, simulator):
    out = StringIO()
    facts = demo(tmp_path, stdout=out)
    assert facts["token"] not in out.getvalue()
