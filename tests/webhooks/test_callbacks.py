"""The door for carriers."""

import datetime as dt
import hashlib
import hmac
import time

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import DjangoAssertNumQueries

from senders.models import Gateway
from tests.webhooks.conftest import SECRET, Carrier
from webhooks import receive, wake
from webhooks.models import Receipt


def test_a_signed_callback_is_kept_as_it_came_and_answered_at_once(
    carrier: Carrier, gateway: Gateway
) -> None:
    answer = carrier.call(b'{"type": "anything"}', path="events?try=2")

    receipt = Receipt.objects.get()
    assert answer.status_code == 200
    assert bytes(receipt.body) == b'{"type": "anything"}'
    assert (receipt.gateway, receipt.path, receipt.query) == (gateway, "events", {"try": "2"})
    assert receipt.outcome == Receipt.Outcome.WAITING
    assert "x-simulator-signature" in receipt.headers


def test_the_same_callback_again_is_answered_200_and_kept_once(
    carrier: Carrier, hints: list[float]
) -> None:
    for _ in range(3):
        assert carrier.call(b'{"type": "anything"}').status_code == 200

    assert Receipt.objects.count() == 1
    assert len(hints) == 1


def test_the_same_body_for_another_path_is_another_callback(carrier: Carrier) -> None:
    carrier.call(b"{}", path="status")
    carrier.call(b"{}", path="inbound")

    assert Receipt.objects.count() == 2


def test_the_same_body_of_another_gateway_is_another_callback(
    carrier: Carrier, client: Client, gateway: Gateway
) -> None:
    other = Gateway.objects.create(
        kind="simulator", name="Other", base_url="http://x.test", credentials=gateway.credentials
    )

    carrier.call(b"{}")
    Carrier(client, other).call(b"{}")

    assert Receipt.objects.count() == 2


def test_a_wrong_signature_is_refused_and_leaves_nothing_but_a_count(
    carrier: Carrier, gateway: Gateway, hints: list[float]
) -> None:
    answers = [carrier.call(b"{}", secret="guessed").status_code for _ in range(2)]

    gateway.refresh_from_db()
    assert answers == [401, 401]
    assert gateway.refused_callbacks == 2
    assert not Receipt.objects.exists()
    assert hints == []


def test_what_proves_who_the_carrier_is_is_not_kept(client: Client, gateway: Gateway) -> None:
    timestamp = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), f"{timestamp}.{{}}".encode(), hashlib.sha256).hexdigest()

    client.post(
        f"/hooks/{gateway.callback_token}/",
        data=b"{}",
        content_type="application/json",
        headers={
            "X-Simulator-Timestamp": timestamp,
            "X-Simulator-Signature": signature,
            "Authorization": "Basic c2VjcmV0",
            "Cookie": "a=b",
        },
    )

    assert not {"authorization", "cookie"} & set(Receipt.objects.get().headers)


def test_an_unknown_address_is_not_found(client: Client, gateway: Gateway) -> None:
    assert client.post("/hooks/nobody/events", data=b"{}", content_type="a/b").status_code == 404


@pytest.mark.parametrize(
    "address", ["%00", "a%00b/", "x" * 65 + "/", "{token}/%00", "{token}/" + "p" * 201, ""]
)
def test_an_address_that_can_be_none_of_ours_is_not_found(
    client: Client, gateway: Gateway, address: str
) -> None:
    path = "/hooks/" + address.replace("{token}", gateway.callback_token)

    assert client.post(path, data=b"{}", content_type="application/json").status_code == 404


def test_a_carrier_that_this_version_does_not_have_is_not_found(carrier: Carrier) -> None:
    Gateway.objects.update(kind="gone")

    assert carrier.call(b"{}").status_code == 404


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "9" * 5000, "١٢"])
def test_a_timestamp_that_is_none_is_refused(
    client: Client, gateway: Gateway, timestamp: str
) -> None:
    answer = client.post(
        f"/hooks/{gateway.callback_token}/",
        data=b"{}",
        content_type="application/json",
        headers={"X-Simulator-Timestamp": timestamp, "X-Simulator-Signature": "0" * 64},
    )

    assert answer.status_code == 401


def test_a_query_that_cannot_be_kept_is_refused(carrier: Carrier) -> None:
    assert carrier.call(b"{}", path="events?x=%00").status_code == 400


def test_a_callback_is_posted(client: Client, gateway: Gateway) -> None:
    assert client.get(f"/hooks/{gateway.callback_token}/events").status_code == 405


def test_a_body_in_chunks_is_not_taken_for_an_empty_one(client: Client, gateway: Gateway) -> None:
    answer = client.post(
        f"/hooks/{gateway.callback_token}/", headers={"Transfer-Encoding": "chunked"}
    )

    assert answer.status_code == 411


def test_a_body_that_is_too_large_is_refused(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "MOST_BYTES", 1000)

    assert carrier.call(b"x" * 1000).status_code == 200
    assert carrier.call(b"x" * 1001).status_code == 413
    assert Receipt.objects.count() == 1


def test_bodies_of_any_kind_are_kept(carrier: Carrier) -> None:
    for body in (b"", b"garbage", b"\xff\xfe\x00", b"[" * 100_000, b"x" * 900_000):
        assert carrier.call(body).status_code == 200

    assert Receipt.objects.count() == 5


def test_a_callback_costs_one_statement_and_now_and_then_a_look_up(
    carrier: Carrier, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        carrier.call(b"1")
    with django_assert_num_queries(1):
        carrier.call(b"2")


def test_a_new_signing_secret_is_in_force_after_a_few_seconds(
    carrier: Carrier, gateway: Gateway
) -> None:
    carrier.call(b"1")
    gateway.credentials = {"signing_secret": "new"}
    gateway.save(update_fields=["credentials"])

    with time_machine.travel(timezone.now() + dt.timedelta(seconds=6)):
        assert carrier.call(b"2").status_code == 401
        assert carrier.call(b"2", secret="new").status_code == 200


def test_callbacks_in_quick_succession_share_a_hint(carrier: Carrier, hints: list[float]) -> None:
    for number in range(5):
        carrier.call(str(number).encode())

    assert len(hints) < 5


def test_a_receipt_after_the_hints_delay_gives_its_own(
    carrier: Carrier, hints: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier.call(b"1")
    monkeypatch.setattr(wake, "_next_hint_at", {wake.PEOPLE_TASK: time.monotonic() - 0.001})
    carrier.call(b"2")

    assert len(hints) == 2


def test_a_broker_that_is_down_costs_no_callback(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(wake.current_app, "send_task", refuse)

    assert carrier.call(b"{}").status_code == 200
    assert Receipt.objects.count() == 1
