"""The breaker of a gateway opens on failures in a row, and one outage is one opening."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from senders import breaker
from senders.models import Gateway

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def gateway(db: None) -> Gateway:
    return Gateway.objects.create(kind="simulator", name="Carrier", base_url="http://127.0.0.1:9")


def fail(gateway: Gateway, count: int = 1, *, at: datetime = NOW) -> timedelta | None:
    """How long the breaker is open after so many calls failed."""
    breaker.record_failures(gateway.pk, count=count, now=at)
    gateway.refresh_from_db()
    return gateway.breaker_open_until and gateway.breaker_open_until - at


def test_failures_in_a_row_open_it(gateway: Gateway) -> None:
    assert [fail(gateway) for _ in range(5)] == [None] * 4 + [breaker.OPEN_FOR]


def test_hundreds_that_fail_together_open_it_for_no_longer_than_a_few(gateway: Gateway) -> None:
    assert fail(gateway, 400) == breaker.OPEN_FOR


def test_what_left_before_it_opened_does_not_keep_it_open(gateway: Gateway) -> None:
    fail(gateway, 400)
    assert fail(gateway, 400, at=NOW + SECOND) == breaker.OPEN_FOR - SECOND
    assert gateway.consecutive_failures == Gateway.BREAKER_THRESHOLD


def test_it_opens_for_longer_each_time_a_trial_fails(gateway: Gateway) -> None:
    at, pauses = NOW, []
    for _ in range(7):
        pause = fail(gateway, 5, at=at)
        assert pause is not None
        pauses.append(pause)
        at += pause
    assert pauses == [breaker.OPEN_FOR * times for times in (1, 2, 4, 8, 16, 20, 20)]


def test_a_success_closes_it_and_the_count_begins_anew(gateway: Gateway) -> None:
    fail(gateway, 5)
    breaker.record_success(gateway.pk)
    assert fail(gateway) is None
    assert gateway.consecutive_failures == 1
