"""The pace of a lane."""

from datetime import UTC, datetime, timedelta

import pytest

from senders import lanes
from senders.models import Gateway, Longcode

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def lane(db):
    gateway = Gateway.objects.create(
        kind="simulator", name="One", base_url="http://carrier.invalid"
    )
    longcode = Longcode.objects.create(number="+13035550100", gateway=gateway)
    return lanes.of_longcode(longcode.pk)


def advance(lane, *, late):
    lane.next_at = NOW - timedelta(seconds=late)
    lane.save(update_fields=["next_at"])
    lanes.advance(lane, messages=6, rate=2, now=NOW)
    lane.refresh_from_db()
    return (lane.next_at - NOW).total_seconds()


def test_a_lane_that_was_looked_at_a_little_late_keeps_its_pace(lane):
    assert advance(lane, late=0.8) == pytest.approx(2.2)


def test_a_lane_that_rested_for_long_does_not_make_up_for_it(lane):
    assert advance(lane, late=3600) == pytest.approx(2.0)
