"""The carrier's rules, with time that passes when a test says so."""

from __future__ import annotations

import random

import pytest

from simulator.carrier import Latency, Refusal
from simulator.faults import FaultyRule
from simulator.numbers import is_unreal
from tests.simulator.conftest import CAPABLE, DENVER, LONGCODE, OTHER, World


@pytest.mark.parametrize("number", ["+13035550100", "+19995550199", "+9991234", "+999123456789012"])
def test_numbers_that_cannot_exist_are_taken(number: str) -> None:
    assert is_unreal(number)


@pytest.mark.parametrize(
    "number",
    [
        "+13035550200",
        "+13035551100",
        "+11035550100",
        "+999123",
        "+9991234567890123",
        "13035550100",
        "+13035550100 ",
        "",
        None,
        7,
    ],
)
def test_all_other_numbers_are_not(number: object) -> None:
    assert not is_unreal(number)


def test_numbers_that_end_even_have_imessage_and_those_that_end_odd_do_not(world: World) -> None:
    capable = [digit for digit in range(10) if world.carrier.has_imessage(f"+1303555010{digit}")]
    assert capable == [0, 2, 4, 6, 8]


def test_a_person_may_be_set_to_have_imessage_or_not_whatever_the_number(world: World) -> None:
    world.carrier.set_person(OTHER, imessage=True)
    world.carrier.set_person(CAPABLE, imessage=False)
    assert world.carrier.has_imessage(OTHER)
    assert not world.carrier.has_imessage(CAPABLE)
    world.carrier.set_person(CAPABLE, imessage=None)
    assert world.carrier.has_imessage(CAPABLE)


def test_an_accepted_message_is_sent_then_delivered_and_both_are_told(world: World) -> None:
    message = world.send()
    assert (message.status, world.statuses(message)) == ("accepted", [])

    world.clock.pass_by(10)

    assert message.status == "delivered"
    assert world.statuses(message) == ["sent", "delivered"]


def test_an_imessage_to_a_number_without_it_is_refused_and_not_recorded(world: World) -> None:
    with pytest.raises(Refusal) as caught:
        world.send(to=OTHER)
    assert caught.value.code == "not_on_imessage"
    assert list(world.carrier.accepted()) == []
    assert world.carrier.refused == {"not_on_imessage": 1}


def test_an_sms_reaches_everybody(world: World) -> None:
    for number in (CAPABLE, OTHER):
        message = world.send(LONGCODE, number)
        world.clock.pass_by(10)
        assert message.status == "delivered"


def test_a_reference_that_comes_twice_is_texted_twice(world: World) -> None:
    world.send(reference="7")
    world.send(reference="7")
    assert len(list(world.carrier.accepted())) == 2
    assert world.carrier.find("7") is world.carrier.by_reference["7"][0]


def test_opening_an_imessage_conversation_reads_it(world: World) -> None:
    message = world.send()
    world.clock.pass_by(10)
    world.carrier.person_reads(DENVER, CAPABLE)
    assert world.statuses(message) == ["sent", "delivered", "read"]


def test_a_read_message_does_not_become_delivered(world: World) -> None:
    message = world.send()
    world.clock.pass_by(0.31)
    assert message.status == "sent"
    world.carrier.person_reads(DENVER, CAPABLE)
    world.clock.pass_by(10)
    assert message.status == "read"
    assert world.statuses(message) == ["sent", "read"]


def test_reading_is_not_told_of_sms_nor_where_receipts_are_off(world: World) -> None:
    green = world.send(LONGCODE, OTHER)
    blue = world.send()
    world.clock.pass_by(10)
    world.carrier.set_person(CAPABLE, read_receipts=False)
    world.carrier.person_reads(LONGCODE, OTHER)
    world.carrier.person_reads(DENVER, CAPABLE)
    assert (green.status, blue.status) == ("delivered", "delivered")


def test_a_person_without_imessage_cannot_write_blue(world: World) -> None:
    with pytest.raises(Refusal):
        world.carrier.person_writes(world.sending(to=OTHER))
    assert world.events == []


def test_what_a_person_writes_and_taps_is_told(world: World) -> None:
    sent = world.send()
    written = world.carrier.person_writes(world.sending(body="STOP"))
    world.carrier.person_taps(sent, "love", is_removed=False)
    world.carrier.person_types(DENVER, CAPABLE, is_typing=True)

    [inbound] = world.told("message.inbound")
    assert (inbound["id"], inbound["from"], inbound["body"]) == (written.id, CAPABLE, "STOP")
    [tapback] = world.told("tapback")
    assert (tapback["message_id"], tapback["kind"], tapback["removed"]) == (sent.id, "love", False)
    [typing] = world.told("typing")
    assert typing["typing"] is True


def test_a_message_ends_the_typing_that_it_was_typed_with(world: World) -> None:
    world.carrier.show_typing(DENVER, CAPABLE, is_typing=True)
    assert world.carrier.threads[CAPABLE][DENVER].typing_until > 0
    world.send()
    assert world.carrier.threads[CAPABLE][DENVER].typing_until == 0


def test_a_tapback_replaces_the_one_before_and_can_be_taken_away(world: World) -> None:
    message = world.send()
    world.carrier.person_taps(message, "love", is_removed=False)
    world.carrier.person_taps(message, "laugh", is_removed=False)
    world.carrier.person_taps(message, "love", is_removed=True)
    assert message.tapbacks == {"person": "laugh"}
    world.carrier.person_taps(message, "laugh", is_removed=True)
    assert message.tapbacks == {}


@pytest.mark.parametrize(
    ("state", "code"),
    [("blocked", "line_blocked"), ("banned", "line_banned"), ("down", "not_accepted")],
)
def test_a_line_in_trouble_refuses_and_its_customer_is_told(
    world: World, state: str, code: str
) -> None:
    world.carrier.set_line_state(DENVER, state)
    world.carrier.set_line_state(DENVER, state)
    with pytest.raises(Refusal) as caught:
        world.send()
    assert caught.value.code == code
    assert [data["state"] for data in world.told("line.state")] == [state]
    world.send(LONGCODE)


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        "invalid_number",
        "opted_out",
        "line_blocked",
        "line_banned",
        "rate_limited",
        "not_accepted",
        "unauthorized",
        "invalid_request",
        "not_on_imessage",
    ],
)
def test_a_refusal_on_request_records_nothing(world: World, fault: str) -> None:
    world.carrier.faults.add([{"fault": fault, "seconds": 9}])
    with pytest.raises(Refusal) as caught:
        world.send()
    assert caught.value.code == fault
    assert caught.value.retry_after == (9 if fault == "rate_limited" else None)
    assert list(world.carrier.accepted()) == []


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({}, 3),
        ({"route": "sms"}, 1),
        ({"line": "denver@example.com"}, 2),
        ({"to": OTHER}, 1),
        ({"to_suffix": "2"}, 2),
        ({"reference": "b"}, 1),
        ({"route": "sms", "to": CAPABLE}, 0),
        ({"share": 0}, 0),
        ({"share": 1}, 3),
    ],
)
def test_a_rule_hits_what_it_matches(world: World, match: dict, hits: int) -> None:
    world.carrier.faults.add([{"fault": "error_500", "match": match}])
    sendings = [
        world.sending(reference="a"),
        world.sending(reference="b"),
        world.sending(LONGCODE, OTHER),
    ]
    assert sum(world.carrier.check(sending) is not None for sending in sendings) == hits


def test_a_rule_ends_after_its_times(world: World) -> None:
    world.carrier.faults.add([{"fault": "error_500", "times": 2}])
    hits = [world.carrier.check(world.sending()) is not None for _ in range(4)]
    assert hits == [True, True, False, False]


def test_the_first_rule_that_matches_decides_the_answer(world: World) -> None:
    rules = [{"fault": "accept_then_500", "match": {"to": OTHER}}, {"fault": "close"}]
    world.carrier.faults.add(rules)
    to_other = world.carrier.check(world.sending(LONGCODE, OTHER))
    to_capable = world.carrier.check(world.sending(LONGCODE, CAPABLE))
    assert (to_other.fault, to_capable.fault) == ("accept_then_500", "close")


def test_a_share_hits_the_same_messages_in_whatever_order_they_come(tmp_path) -> None:
    references = [str(number) for number in range(400)]
    shuffled = random.Random(5).sample(references, len(references))

    def hit(name: str, order: list[str]) -> set[str]:
        world = World(tmp_path / name, seed=3)
        world.carrier.faults.add([{"fault": "error_500", "match": {"share": 0.25}}])
        check = world.carrier.check
        return {text for text in order if check(world.sending(reference=text)) is not None}

    first = hit("one", references)
    assert first == hit("two", shuffled)
    assert 60 < len(first) < 140


def test_another_seed_hits_others(tmp_path) -> None:
    def delays(seed: int) -> list[float]:
        draws = World(tmp_path / str(seed), seed=seed).carrier.draws
        return [draws.between((1, 2), "sent", str(number)) for number in range(20)]

    assert delays(1) != delays(2)
    assert all(1 <= delay < 2 for delay in delays(1))


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("fail_later", "failed", ["sent", "failed"]),
        ("never_sent", "accepted", []),
        ("never_delivered", "sent", ["sent"]),
        ("lose_callbacks", "delivered", []),
        ("duplicate_callbacks", "delivered", ["sent", "sent", "delivered", "delivered"]),
        ("delay_callbacks", "delivered", ["sent", "delivered"]),
    ],
)
def test_what_follows_acceptance_goes_wrong_on_request(
    world: World, fault: str, status: str, told: list[str]
) -> None:
    world.carrier.faults.add([{"fault": fault, "seconds": 60, "error": "opted_out"}])
    message = world.send()
    world.clock.pass_by(10)
    if fault == "delay_callbacks":
        assert world.statuses(message) == []
        world.clock.pass_by(100)
    assert (message.status, world.statuses(message)) == (status, told)
    assert message.error == ("opted_out" if fault == "fail_later" else "")


def test_one_status_can_be_lost_alone(world: World) -> None:
    world.carrier.faults.add([{"fault": "lose_callbacks", "match": {"status": "sent"}}])
    message = world.send()
    world.clock.pass_by(10)
    assert world.statuses(message) == ["delivered"]


def test_callbacks_come_out_of_order_on_request(world: World) -> None:
    world.carrier.faults.add([{"fault": "reorder_callbacks", "seconds": 60}])
    messages = [world.send() for _ in range(30)]
    world.clock.pass_by(100)
    orders = {tuple(world.statuses(message)) for message in messages}
    assert orders == {("sent", "delivered"), ("delivered", "sent")}


@pytest.mark.parametrize(
    "rule",
    [
        None,
        {},
        {"fault": "earthquake"},
        {"fault": "close", "extra": 1},
        {"fault": "close", "match": []},
        {"fault": "close", "match": {"moon": "full"}},
        {"fault": "close", "match": {"share": 2}},
        {"fault": "close", "match": {"share": True}},
        {"fault": "close", "match": {"to": 7}},
        {"fault": "close", "match": {"route": "fax"}},
        {"fault": "close", "times": 0},
        {"fault": "close", "times": 1.5},
        {"fault": "close", "seconds": -1},
        {"fault": "fail_later", "error": 3},
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_all_that_came_with_it(world: World, rule) -> None:
    with pytest.raises(FaultyRule) as caught:
        world.carrier.faults.add([{"fault": "close"}, rule])
    assert str(caught.value).endswith(".")
    assert world.carrier.faults.rules == []


# The record


def test_a_new_process_goes_on_where_the_last_one_stopped(tmp_path) -> None:
    path = tmp_path / "record.sqlite3"
    first = World(path)
    first.journal.start()
    first.carrier.set_line(DENVER, label="Denver", signing_secret="s")
    first.carrier.set_person(CAPABLE, name="Ada")
    first.carrier.set_latency(Latency(sent=(5, 5)))
    message = first.send(media_urls=("https://example.com/a.png",), reference="7")
    first.carrier.set_tapback(message, "line", "like", is_removed=False)
    first.carrier.person_writes(first.sending(body="Hi"))
    first.journal.close()

    second = World(path)
    second.carrier.load()

    [found] = second.carrier.accepted()
    assert found == message
    assert second.carrier.lines == first.carrier.lines
    assert second.carrier.people == first.carrier.people
    assert second.carrier.latency == Latency(sent=(5, 5))
    assert [data["body"] for data in second.told("message.inbound")] == ["Hi"]
    second.clock.pass_by(60)
    assert second.statuses(found) == ["sent", "delivered"]
    assert second.send().id != message.id


def test_an_event_that_was_heard_is_not_told_again(tmp_path) -> None:
    path = tmp_path / "record.sqlite3"
    first = World(path)
    first.journal.start()
    written = first.carrier.person_writes(first.sending(body="Hi"))
    first.carrier.event_is_over(first.events[0], True)
    first.journal.close()

    second = World(path)
    second.carrier.load()

    assert second.events == []
    assert second.carrier.messages[written.id].delivered_at


def test_a_reset_forgets_messages_and_faults_and_keeps_lines_and_people(tmp_path) -> None:
    path = tmp_path / "record.sqlite3"
    world = World(path)
    world.journal.start()
    world.carrier.set_line(DENVER, label="Denver")
    world.carrier.set_line_state(DENVER, "banned")
    world.carrier.set_person(CAPABLE, name="Ada")
    world.carrier.faults.add([{"fault": "never_sent"}])
    world.send(LONGCODE)
    world.carrier.reset(everything=False)
    world.clock.pass_by(60)
    world.journal.close()

    fresh = World(path)
    fresh.carrier.load()
    for carrier in (world.carrier, fresh.carrier):
        assert list(carrier.accepted()) == []
        assert carrier.faults.rules == []
        assert carrier.lines[DENVER].state == "ok"
        assert carrier.people[CAPABLE].name == "Ada"
    assert fresh.events == []
