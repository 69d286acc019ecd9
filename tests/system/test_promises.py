"""The three promises, kept by the whole program under `kill -9`, refusals and late opt-outs.

The carrier's own record is the judge, not ours.
"""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta

import pytest

from tests.system.conftest import System, eventually

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("system")]

CROWD = 5_000


_PREFIXES = itertools.count(70)


@pytest.fixture
def crowd(system: System) -> list[str]:
    """Numbers of people who have opted in, made as an import would make them; new in each test."""
    prefix = next(_PREFIXES)
    numbers = [f"+999{prefix}{number:06d}" for number in range(0, 2 * CROWD, 2)]
    system.rows(
        """
        WITH made AS (
            INSERT INTO subscribers_subscriber
                (phone, first_name, last_name, email, attributes, time_zone, time_zone_source,
                 imessage_capability, imessage_source, created_at)
            SELECT unnest(%s::text[]), 'Crowd', '', '', '{}', '', '', 'yes', 'import', now()
            RETURNING id)
        INSERT INTO subscribers_optin (subscriber_id, identity_id, opted_in_at)
        SELECT made.id, i.id, now() FROM made, senders_senderidentity i WHERE i.name = %s
        RETURNING 1""",
        numbers,
        system.demo["sender_name"],
    )
    return numbers


def _record(system: System, contains: str) -> dict:
    return system.carrier(f"/control/record/summary?contains={contains}")


def _send_to(system: System, numbers: list[str], text: str, **fields) -> dict:
    body = {"subscribers": numbers, "message": text, "senderName": system.demo["sender_name"]}
    status, answer = system.call("/v3/send", {**body, **fields})
    assert status == 200, answer
    return answer["data"]


def _is_settled(system: System, text: str) -> bool:
    [(waiting,)] = system.rows(
        "SELECT count(*) FROM messaging_message WHERE body = %s AND state IN ('queued', 'unknown')",
        text,
    )
    return waiting == 0


def test_a_worker_killed_three_times_texts_nobody_twice_and_forgets_nobody(system, crowd):
    text = "killed-in-the-middle"
    _send_to(system, crowd, text)
    for share in (0.1, 0.4, 0.7):
        eventually(lambda share=share: _record(system, text)["accepted"] >= share * CROWD)
        system.kill_worker()
    eventually(lambda: _is_settled(system, text), seconds=150, every=0.5)
    record = _record(system, text)
    assert record["recipients_more_than_once"] == {}
    assert record["recipients"] == record["accepted"] == CROWD
    assert record["by_route"] == {"imessage": CROWD}


def test_nobody_is_texted_a_second_after_their_opt_out_was_stored(system, crowd):
    text = "late-opt-outs"
    system.carrier("/control/latency", {"answer_ms": 150})
    _send_to(system, crowd, text)
    leaving = crowd[-1::-50]
    line = {"route": "imessage", "address": system.demo["sender_name"]}
    for number in leaving:
        system.carrier("/control/inbound", {"from": number, "line": line, "body": "STOP"})
    system.carrier("/control/latency", {"answer_ms": 0})
    eventually(lambda: _is_settled(system, text), seconds=150, every=0.5)
    asked = (
        "SELECT phone, opted_out_at FROM subscribers_subscriber"
        " WHERE phone = ANY(%s) AND opted_out_at IS NOT NULL"
    )
    stored = dict(
        eventually(
            lambda: len(rows := system.rows(asked, leaving)) == len(leaving) and rows, seconds=60
        )
    )
    handed = {
        message["contact"]: datetime.fromisoformat(message["at"])
        for number in leaving
        for message in system.carrier(f"/control/record?to=%2B{number[1:]}&contains={text}")[
            "messages"
        ]
    }
    late = [number for number, at in handed.items() if at - stored[number] > timedelta(seconds=1)]
    assert late == []
    assert len(handed) < len(leaving)


@pytest.mark.parametrize(
    ("kind", "route", "reason"),
    [
        ("capable_opted_in", "imessage", ""),
        ("not_capable", "sms", "not_capable"),
        ("not_opted_in", "sms", "not_opted_in"),
        ("opted_out", "", "opted_out"),
    ],
)
def test_one_number_of_each_kind_goes_its_way_with_its_reason(system, kind, route, reason):
    text = f"one-{kind}"
    number = system.demo["numbers"][kind]
    data = _send_to(system, [number], text)
    assert data["routes"] == [{"route": route, "reason": reason, "count": 1}]
    expected = {route: 1} if route else {}
    eventually(lambda: _record(system, text)["by_route"] == expected, seconds=20)


@pytest.mark.parametrize("state", ["blocked", "banned"])
def test_a_line_that_the_carrier_stops_falls_back_with_that_reason(system, state):
    text = f"line-{state}"
    address = system.demo["sender_name"]
    system.carrier(f"/control/lines/{address}", {"state": state})
    try:
        _send_to(system, [system.demo["numbers"]["capable_opted_in"]], text)
        eventually(lambda: _record(system, text)["by_route"] == {"sms": 1}, seconds=20)
        [(reason,)] = system.rows("SELECT reason FROM messaging_message WHERE body = %s", text)
        assert reason == f"identity_{state}"
    finally:
        system.carrier(f"/control/lines/{address}", {"state": "ok"})
        # What the carrier said of the line may still wait, and would stop it again.
        eventually(
            lambda: system.rows(
                "SELECT 1 WHERE NOT EXISTS (SELECT FROM webhooks_receipt WHERE outcome = 'waiting')"
            )
        )
        system.rows(
            "UPDATE senders_senderidentity SET status = 'active' WHERE name = %s RETURNING 1",
            address,
        )


def test_a_reply_from_the_phone_is_in_its_conversation_within_two_seconds(system):
    number = system.demo["numbers"]["capable_opted_in"]
    line = {"route": "imessage", "address": system.demo["sender_name"]}
    system.carrier("/control/inbound", {"from": number, "line": line, "body": "quick reply"})
    began = time.monotonic()
    eventually(
        lambda: system.rows(
            "SELECT 1 FROM messaging_conversation WHERE last_body = 'quick reply' AND unread > 0"
        ),
        seconds=10,
        every=0.05,
    )
    assert time.monotonic() - began < 2.0
