"""What a forecast promises is what happens: people, ways, reasons, segments, cost and time."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging import compose, expand
from messaging.forecast import chain_of, forecast, preview
from messaging.models import Message, Send
from messaging.routing import FALLBACK_REASONS
from senders.models import Gateway, Longcode, SenderIdentity
from subscribers.models import Group, Membership, OptIn, Subscriber
from tests.messaging.conftest import rolled_back

NOW = timezone.now()
BODY = "Hi {{ first_name }}, " + "see you in {{ attributes.city|town }}. " * 3


@pytest.fixture
def planned(world):
    """A send as the form describes it: checked, not saved."""

    def check(*people, **changes):
        fields = {
            "body": "Hello!",
            "sender_name": world.identity.name,
            "subscriber_ids": [person.pk for person in people],
        }
        return compose.check(compose.Draft(**(fields | changes)))

    return check


PEOPLE = st.fixed_dictionaries(
    {
        "has_phone": st.sampled_from([True, True, True, False]),
        "capability": st.sampled_from(["yes", "no", "unknown"]),
        "opted_out": st.sampled_from([False, False, False, True]),
        "first_name": st.sampled_from(["Ada", "Zoë", "東京", "", "  "]),
        "city": st.sampled_from([None, "", "Denver", "Łódź" * 12]),
        "opt_in": st.sampled_from(["", "in", "in", "out", "again out"]),
        "groups": st.sets(st.sampled_from([0, 1, 2])),
        "is_named": st.booleans(),
    }
)
CROWDS = st.lists(PEOPLE, min_size=0, max_size=25)
SENDERS = st.fixed_dictionaries(
    {
        "sender": st.sampled_from(["identity", "identity", "identity", "longcode", "nothing"]),
        "status": st.sampled_from(["active", "active", "active", "disabled", "blocked", "banned"]),
        "is_paused": st.sampled_from([False, False, False, True]),
        "allowed": st.none() | st.sets(st.sampled_from(FALLBACK_REASONS)).map(sorted),
    }
)
AUDIENCES = st.sampled_from(["everyone", "groups", "people", "both"])


def populate(world, crowd):
    """The people of a random crowd with their opt-ins and groups, in few statements."""
    people = Subscriber.objects.bulk_create(
        Subscriber(
            phone=f"+99970{number:05}" if facts["has_phone"] else None,
            email="" if facts["has_phone"] else f"p{number}@example.com",
            imessage_capability=facts["capability"],
            opted_out_at=NOW if facts["opted_out"] else None,
            first_name=facts["first_name"],
            attributes={} if facts["city"] is None else {"city": facts["city"]},
        )
        for number, facts in enumerate(crowd)
    )
    OptIn.objects.bulk_create(
        OptIn(
            subscriber=person,
            identity=world.identity,
            opted_in_at=None if facts["opt_in"] == "out" else NOW,
            opted_out_at=None if facts["opt_in"] == "in" else NOW,
        )
        for person, facts in zip(people, crowd, strict=True)
        if facts["opt_in"]
    )
    groups = [Group.objects.create(name=f"Group {number}") for number in range(3)]
    Membership.objects.bulk_create(
        Membership(group=groups[number], subscriber=person)
        for person, facts in zip(people, crowd, strict=True)
        for number in facts["groups"]
    )
    return people, groups


def draft_of(world, sender, audience, people, groups, crowd):
    SenderIdentity.objects.filter(pk=world.identity.pk).update(status=sender["status"])
    Gateway.objects.filter(pk=world.imessage_gateway.pk).update(is_paused=sender["is_paused"])
    named = [p.pk for p, facts in zip(people, crowd, strict=True) if facts["is_named"]]
    return compose.Draft(
        body=BODY,
        sender_name=world.identity.name if sender["sender"] == "identity" else "",
        longcode_id=world.longcode.pk if sender["sender"] == "longcode" else None,
        fallback_reasons=sender["allowed"],
        to_everyone=audience == "everyone",
        group_ids=[g.pk for g in groups[:2]] if audience in {"groups", "both"} else [],
        subscriber_ids=named if audience in {"people", "both"} else [],
        excluded_group_ids=[groups[2].pk],
    )


def outcome_of(send):
    """People and segments by way and reason, counted from the messages."""
    people, segments = Counter(), Counter()
    for message in Message.objects.filter(send=send):
        people[message.route, message.reason] += 1
        segments[message.route, message.reason] += message.segments
    return {row: (count, segments[row]) for row, count in people.items()}


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CROWDS, SENDERS, AUDIENCES)
def test_the_outcome_is_exactly_what_was_forecast(world, crowd, sender, audience):
    with rolled_back():
        people, groups = populate(world, crowd)
        draft = draft_of(world, sender, audience, people, groups, crowd)
        if audience == "people" and not draft.subscriber_ids:
            return
        promised = forecast(compose.check(draft))
        send = compose.create(draft)
        compose.schedule(send)
        expand.run(send.pk)
        outcome = outcome_of(send)
        messages = list(Message.objects.filter(send=send))
        previews = {message.pk: preview(send, message.subscriber_id) for message in messages}
        chains = {message.pk: chain_of(send, message.subscriber_id) for message in messages}
    assert {(r.route, r.reason): (r.people, r.segments) for r in promised.rows} == outcome
    assert promised.total == len(messages)
    for message in messages:
        shown = previews[message.pk]
        assert (shown.route, shown.reason) == (message.route, message.reason)
        if message.state == "queued":
            assert (shown.body, shown.segments) == (message.body, message.segments)
        last = chains[message.pk][-1]
        assert (last.reason if last.decided else "") == message.reason
    in_audience = {message.subscriber_id for message in messages}
    for (route, reason), samples in promised.samples.items():
        assert samples
        assert {sample.subscriber_id for sample in samples} <= {
            m.subscriber_id for m in messages if (m.route, m.reason) == (route, reason)
        }
    assert in_audience == {
        person.pk
        for person, facts in zip(people, crowd, strict=True)
        if 2 not in facts["groups"]
        and (
            audience == "everyone"
            or (audience in {"groups", "both"} and facts["groups"])
            or (audience in {"people", "both"} and facts["is_named"])
        )
    }


class TestCounts:
    def test_rows_are_ordered_by_people_and_summed_up(self, world, planned):
        people = [
            *world.people(3),
            *world.people(2, capability="no"),
            *world.people(4, opted_in=False),
            world.person(opted_out_at=NOW),
        ]
        found = forecast(planned(*people))
        assert [row[:3] for row in found.rows] == [
            ("sms", "not_opted_in", 4),
            ("imessage", "", 3),
            ("sms", "not_capable", 2),
            ("", "opted_out", 1),
        ]
        assert (found.total, found.imessage, found.sms, found.nobody) == (10, 3, 6, 1)

    def test_an_empty_audience_gives_an_empty_forecast(self, planned):
        group = Group.objects.create(name="Nobody")
        found = forecast(planned(group_ids=[group.pk]))
        assert (found.rows, found.samples, found.total) == ([], {}, 0)
        assert (found.cost, found.segments, found.seconds) == (0, 0, None)

    def test_whom_the_policy_leaves_out_is_counted_as_nobody(self, world, planned):
        found = forecast(planned(world.person(opted_in=False), fallback_reasons=[]))
        assert [row[:3] for row in found.rows] == [("", "not_opted_in", 1)]
        assert found.nobody == 1

    def test_only_sms_costs_and_by_the_segment(self, world, planned):
        Longcode.objects.update(price_per_segment=Decimal("0.00790"))
        people = [*world.people(5), *world.people(3, opted_in=False)]
        found = forecast(planned(*people, body="a" * 161))
        assert found.segments == 6
        assert found.cost == Decimal("0.04740")

    def test_a_forecast_is_of_this_moment_not_of_when_the_send_was_made(self, world, planned):
        send = planned(ada := world.person())
        assert forecast(send).imessage == 1
        SenderIdentity.objects.update(status="banned")
        assert forecast(send).rows[0][:2] == ("sms", "identity_banned")
        Subscriber.objects.filter(pk=ada.pk).update(opted_out_at=NOW)
        assert forecast(send).rows[0][:2] == ("", "opted_out")

    def test_an_open_breaker_is_foreseen_until_its_moment_has_passed(self, world, planned):
        send = planned(world.person())
        gateways = Gateway.objects.filter(pk=world.imessage_gateway.pk)
        gateways.update(breaker_open_until=timezone.now() + timedelta(minutes=1))
        assert forecast(send).rows[0][:2] == ("sms", "route_unavailable")
        gateways.update(breaker_open_until=timezone.now() - timedelta(seconds=1))
        assert forecast(send).rows[0][:2] == ("imessage", "")

    def test_a_forecast_writes_nothing(self, world, planned):
        send = planned(*world.people(3), world.person(opted_out_at=NOW))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            forecast(send)
            preview(send, send.subscriber_ids[0])
        statements = {query["sql"].split()[0].upper() for query in queries.captured_queries}
        assert statements <= {"SELECT", "WITH"}
        assert not Send.objects.exists()
        assert not Message.objects.exists()

    def test_a_forecast_takes_as_many_queries_for_many_as_for_few(self, world, planned):
        few, many = planned(*world.people(2)), planned(*world.people(40))
        with CaptureQueriesContext(connection) as for_few:
            forecast(few)
        with CaptureQueriesContext(connection) as for_many:
            forecast(many)
        assert len(for_many) == len(for_few)


class TestTime:
    @pytest.mark.parametrize(
        ("identity_rate", "longcode_rate", "seconds", "limit"),
        [
            (None, None, None, "No limit of ours binds."),
            (2, None, 3.0, "Held by the 2 per second of Denver."),
            (None, 0.5, 8.0, "Held by the 0.5 per second of +13035550100."),
            (2, 10, 3.0, "Held by the 2 per second of Denver."),
            (2, 1, 4.0, "Held by the 1 per second of +13035550100."),
        ],
    )
    def test_the_slowest_lane_says_when_the_send_will_be_done(
        self, world, planned, identity_rate, longcode_rate, seconds, limit
    ):
        SenderIdentity.objects.update(messages_per_second=identity_rate)
        Longcode.objects.update(messages_per_second=longcode_rate)
        people = [*world.people(6), *world.people(4, opted_in=False)]
        found = forecast(planned(*people))
        assert (found.seconds, found.limit) == (seconds, limit)

    def test_the_pace_of_a_lane_that_nobody_goes_by_does_not_bind(self, world, planned):
        Longcode.objects.update(messages_per_second=0.01)
        assert forecast(planned(*world.people(3))).seconds is None


class TestSamples:
    def test_each_row_shows_who_is_in_it_and_which_questions_decided(self, world, planned):
        ada = world.person(last_name="Lovelace")
        bob = world.person(first_name="Bob", capability="no")
        nobody = world.person(phone=None, email="a@example.com", first_name="")
        samples = forecast(planned(ada, bob, nobody)).samples
        [sample] = samples["imessage", ""]
        assert sample[:3] == (ada.pk, "Ada Lovelace", ada.phone)
        assert not any(step.decided for step in sample.chain)
        [sample] = samples["sms", "not_capable"]
        assert sample.chain[-1] == ("not_capable", "Known not to have iMessage?", True)
        [sample] = samples["", "invalid_number"]
        assert sample[:3] == (nobody.pk, "", "")
        assert [step.reason for step in sample.chain] == ["opted_out", "invalid_number"]


class TestPreview:
    def test_a_preview_counts_what_the_person_will_read(self, world, planned):
        ada = world.person(capability="no")
        found = preview(planned(ada, body="Hi {{ first_name }} ☂" + "a" * 70), ada.pk)
        assert found.body == "Hi Ada ☂" + "a" * 70
        assert (found.encoding, found.units, found.segments) == ("UCS-2", 78, 2)
        assert found.forced_by == "☂"
        assert (found.route, found.reason) == ("sms", "not_capable")

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [({"opted_out_at": NOW}, "opted_out"), ({"first_name": ""}, "missing_field")],
    )
    def test_a_preview_of_somebody_who_gets_nothing_says_why(self, world, planned, fields, reason):
        ada = world.person(**fields)
        found = preview(planned(ada, body="{{ first_name }}"), ada.pk)
        assert (found.route, found.reason) == ("", reason)

    def test_a_preview_of_nobody_is_none(self, world, planned):
        assert preview(planned(world.person()), 2**40) is None

    def test_one_can_preview_as_somebody_outside_the_audience(self, world, planned):
        ada, bob = world.person(), world.person(first_name="Bob")
        assert preview(planned(ada, body="Hi {{ first_name }}"), bob.pk).body == "Hi Bob"
