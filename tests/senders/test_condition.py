"""How a gateway is doing, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from senders.condition import condition_of
from senders.models import Gateway

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("gateway", "word", "tone", "part_of_sentence"),
    [
        (Gateway(), "Available", "success", "Calls go through."),
        (Gateway(consecutive_failures=1), "Available", "success", "failed once in a row; at 5"),
        (Gateway(consecutive_failures=5), "On trial", "warning", "only a trickle"),
        (
            Gateway(consecutive_failures=5, breaker_open_until=NOW + timedelta(seconds=30)),
            "Breaker open",
            "danger",
            "failed 5 times in a row. No calls until 12:00:30 UTC",
        ),
        (
            Gateway(consecutive_failures=5, breaker_open_until=NOW - timedelta(seconds=1)),
            "On trial",
            "warning",
            "only a trickle",
        ),
        (
            Gateway(is_paused=True, breaker_open_until=NOW + timedelta(seconds=30)),
            "Paused",
            "warning",
            "Paused by a person",
        ),
    ],
)
def test_a_gateways_condition_is_said_in_words(
    gateway: Gateway, word: str, tone: str, part_of_sentence: str
) -> None:
    condition = condition_of(gateway, at=NOW)

    assert (condition.word, condition.tone) == (word, tone)
    assert part_of_sentence in condition.sentence


def test_what_the_words_call_available_is_what_the_dispatch_calls_available() -> None:
    for gateway in (
        Gateway(),
        Gateway(is_paused=True),
        Gateway(consecutive_failures=9),
        Gateway(consecutive_failures=9, breaker_open_until=NOW + timedelta(seconds=30)),
    ):
        stopped = condition_of(gateway, at=NOW).word in ("Paused", "Breaker open")
        assert gateway.is_available(NOW) is not stopped
