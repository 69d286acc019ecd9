"""What is wrong is said in their error object; nothing is half-written, nothing is a 500."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from api import json_body, tokens
from api.mobile_text_alerts import sending
from api.models import IdempotencyKey, Token
from messaging.models import Message, Send
from senders.models import Longcode
from subscribers.models import Subscriber
from tests.api.conftest import CAPABLE, STRANGER, Call

GOOD = {"subscribers": [CAPABLE], "message": "Hello"}


def refused(answer: HttpResponse, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    error: dict[str, Any] = answer.json()
    assert error["httpCode"] == status
    assert {"message", "timestamp", "type", "name", "requestId"} <= set(error)
    assert answer["X-Request-Id"] == error["requestId"]
    assert not Send.objects.exists()
    assert not Message.objects.exists()
    assert not IdempotencyKey.objects.exists()
    return error


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subscribers": "+14155550101"}, "subscribers"),
        ({"subscribers": ["12"]}, "subscribers[0]"),
        ({"subscribers": [CAPABLE, "+1415555"]}, "subscribers[1]"),
        ({"subscribers": [True]}, "subscribers[0]"),
        ({"subscribers": [1.5]}, "subscribers[0]"),
        ({"subscribers": [{"number": 1}]}, "subscribers[0]"),
        ({"subscribers": [None]}, "subscribers[0]"),
        ({"subscribers": [10**300]}, "subscribers[0]"),
        ({"subscribers": ["9" * 5000]}, "subscribers[0]"),
        ({"subscribers": ["nobody@example.com"]}, "subscribers[0]"),
        ({"subscribers": ["@"]}, "subscribers[0]"),
        ({"subscriberIds": [1]}, "subscribers"),
        ({"subscriberIds": ["x"]}, "subscriberIds[0]"),
        ({"subscriberIds": [10**4000]}, "subscriberIds[0]"),
        ({"subscriberIds": ["9" * 5000]}, "subscriberIds[0]"),
        ({"subscriberIds": [-1]}, "subscriberIds[0]"),
        ({"groups": [True]}, "groups[0]"),
        ({"groups": [12345]}, "groups"),
        ({"threadId": 5, "subscribers": []}, "threadId"),
        ({"threadId": 5}, "threadId"),
        ({"allSubscribers": "true"}, "allSubscribers"),
        ({"allSubscribers": 1}, "allSubscribers"),
        ({"allSubscribers": True}, "allSubscribers"),
        ({"message": 5}, "message"),
        ({"message": ["Hello"]}, "message"),
        ({"message": "  "}, "message"),
        ({"message": "x" * 100_000}, "message"),
        ({"message": "Hi {{ nick_name }}"}, "message"),
        ({"message": "Hi {{ first_name"}, "message"),
        ({"templateId": 7}, "templateId"),
        ({"message": None, "templateId": 7}, "templateId"),
        ({"message": None, "templateId": "x"}, "templateId"),
        ({"image": "file:///etc/passwd"}, "image"),
        ({"image": "http://["}, "image"),
        ({"image": 7}, "image"),
        ({"senderName": "nobody"}, "senderName"),
        ({"senderName": ""}, "senderName"),
        ({"senderName": {"a": 1}}, "senderName"),
        ({"longcodeId": 7}, "longcodeId"),
        ({"scheduledDate": "tomorrow"}, "scheduledDate"),
        ({"scheduledDate": "2001-01-01T00:00:00Z"}, "scheduledDate"),
        ({"scheduledDate": "9999-12-31T23:59:59-2359"}, "scheduledDate"),
        ({"scheduledDate": "2999-01-01T00:00:00Z"}, "scheduledDate"),
        ({"scheduledDate": "2027-01-15"}, "scheduledDate"),
        ({"scheduledDate": 1799999999}, "scheduledDate"),
        ({"externalId": "x" * 201}, "externalId"),
        ({"externalId": 7}, "externalId"),
        ({"tags": ["a"]}, "tags"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"tags": {str(number): "x" for number in range(100)}}, "tags"),
        ({"tags": {"a": {"b": "c"}}}, "tags.a"),
        ({"repeat": {"interval": "day"}}, "repeat"),
        ({"properties": {}}, "properties"),
        ({"isMMS": True}, "isMMS"),
        ({"dryRun": True}, "dryRun"),
        ({"sendername": "care"}, "sendername"),
    ],
)
def test_a_wrong_field_is_named(
    post: Call, longcode: Longcode, change: dict[str, Any], field: str
) -> None:
    error = refused(post({**GOOD, **change}))

    assert error["type"] == "bad_request_error"
    assert error["name"] == "MTABadRequestError"
    assert field in [problem["field"] for problem in error["problems"]]
    assert error["message"].startswith(f"{error['problems'][0]['field']}: ")
    assert error["message"].rstrip(")").endswith((".", "problems."))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "Hello"},
        {"subscribers": [], "groups": [], "message": "Hello"},
        {"allSubscribers": False, "message": "Hello"},
        {"subscribers": [CAPABLE]},
        {"subscribers": [CAPABLE], "message": None},
    ],
)
def test_what_is_missing_is_said(post: Call, longcode: Longcode, body: dict[str, Any]) -> None:
    assert refused(post(body))["message"].startswith("Say ")


def test_every_fault_is_told_at_once(post: Call, longcode: Longcode) -> None:
    error = refused(post({"subscribers": ["1", CAPABLE, "2"], "message": 5, "tags": []}))

    assert [problem["field"] for problem in error["problems"]] == [
        "subscribers[0]",
        "subscribers[2]",
        "message",
        "tags",
    ]


def test_ten_thousand_faults_are_not_all_told(post: Call, longcode: Longcode) -> None:
    error = refused(post({"subscribers": ["1"] * 10_000, "message": "Hello"}))

    assert len(error["problems"]) == 50


def test_fields_that_say_nothing_are_taken_as_absent(post: Call, longcode: Longcode) -> None:
    body = {**GOOD, "isMMS": False, "rehost": None, "repeat": None, "senderName": None}

    assert post(body).status_code == 200


def test_nobody_is_made_a_subscriber_by_a_request_that_is_refused(
    post: Call, longcode: Longcode
) -> None:
    refused(post({"subscribers": [STRANGER], "message": "Hello", "senderName": "nobody"}))

    assert not Subscriber.objects.exists()


def test_no_active_longcode_is_said(post: Call, db: None) -> None:
    assert "longcode" in refused(post(GOOD))["message"]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"01", b"9" * 5000])
def test_what_python_takes_for_a_number_and_json_does_not_is_refused(
    post: Call, longcode: Longcode, number: bytes
) -> None:
    body = b'{"message": "Hello", "subscribers": ["+14155550101"], "isMMS": ' + number + b"}"

    assert refused(post(body))["message"] == "The body is not valid JSON in UTF-8."


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"{",
        b"\xff\xfe{}",
        b'{"message": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        DEEP,
        b"[" * 100_000,
        b"[]",
        b"null",
        b'"text"',
        b'{"message": "a\\u0000b", "subscribers": ["+14155550101"]}',
        b'{"message": "a\\ud800b", "subscribers": ["+14155550101"]}',
        b'{"tags": {"a\\u0000": "b"}, "message": "a", "subscribers": ["+14155550101"]}',
        b'{"tags": {"\\udfff": "b"}, "message": "a", "subscribers": ["+14155550101"]}',
        b'{"tags": {"a": "\\udfff"}, "message": "a", "subscribers": ["+14155550101"]}',
        b'{"senderName": "\\u0000", "message": "a", "subscribers": ["+14155550101"]}',
        b'{"\\ud800": 1}',
        b'{"subscribers": ["\\u0000"], "message": "a"}',
        b'{"subscribers": ["a\\u0000@b.example"], "message": "a"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_cannot_be_understood_or_kept_is_refused(
    post: Call, longcode: Longcode, body: bytes
) -> None:
    refused(post(body))


def test_an_empty_body_is_refused(post: Call, longcode: Longcode) -> None:
    refused(post(b""))


def test_a_body_in_chunks_is_not_taken_for_an_empty_one(post: Call, longcode: Longcode) -> None:
    refused(post(GOOD, **{"Transfer-Encoding": "chunked"}), 411)


def test_five_megabytes_are_too_much(post: Call, longcode: Longcode) -> None:
    error = refused(post({**GOOD, "message": "x" * 5_000_000}), 413)

    assert error["message"] == "The body is too large. Send at most 2 MB."


def test_a_body_of_just_the_greatest_size_is_read(
    post: Call, longcode: Longcode, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(GOOD).encode()

    monkeypatch.setattr(json_body, "MOST_BYTES", len(body) - 1)
    refused(post(body), 413)
    monkeypatch.setattr(json_body, "MOST_BYTES", len(body))
    assert post(body).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data", ""]
)
def test_a_body_of_another_type_is_refused(
    client: Client, token: tuple[Token, str], content_type: str
) -> None:
    answer = client.post(
        "/v3/send",
        data=b"a=b",
        content_type=content_type,
        headers={"Authorization": f"Bearer {token[1]}"},
    )

    assert refused(answer, 415)["name"] == "MTAUnsupportedMediaTypeError"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Basic {}", "Bearer {} x", "Bearer \u00fc"]
)
def test_without_a_valid_key_nothing_is_done(
    client: Client, token: tuple[Token, str], header: str
) -> None:
    answer = client.post(
        "/v3/send",
        data=json.dumps(GOOD),
        content_type="application/json",
        headers={"Authorization": header.format(token[1])},
    )

    error = refused(answer, 401)
    assert error["type"] == "unauthorized_error"
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_key_without_the_scope_may_not_send(post: Call, longcode: Longcode) -> None:
    _, reader = tokens.issue(name="Reader", scopes=["read"])

    error = refused(post(GOOD, Authorization=f"Bearer {reader}"), 403)

    assert error["reason"] is None
    assert error["name"] == "MTAForbiddenError"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v3/send", 405),
        ("DELETE", "/v3/send", 405),
        ("OPTIONS", "/v3/send", 405),
        ("POST", "/v3/auth/verify-api-key", 405),
        ("GET", "/v3/nothing", 404),
        ("POST", "/v3/send/7", 404),
        ("PATCH", "/v3/%00%0a", 404),
        ("GET", "/v3/", 404),
    ],
)
def test_a_wrong_address_or_method_is_answered_in_their_words(
    client: Client, token: tuple[Token, str], method: str, path: str, status: int
) -> None:
    answer = client.generic(method, path, headers={"Authorization": f"Bearer {token[1]}"})

    refused(answer, status)


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "garbage", ""])
def test_the_answer_is_json_whatever_was_asked_for(
    post: Call, longcode: Longcode, accept: str
) -> None:
    answer = post(GOOD, Accept=accept)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_an_unexpected_error_tells_nothing_and_undoes_everything(
    post: Call,
    longcode: Longcode,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_send: Send) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(sending, "report", fail)

    error = refused(post({**GOOD, "subscribers": [STRANGER]}, key="a"), 500)

    assert "1234" not in json.dumps(error)
    assert not Subscriber.objects.exists()
    assert "unexpected error" in caplog.text


def test_an_error_object_has_their_form(post: Call, longcode: Longcode) -> None:
    error = refused(post({}))

    assert set(error) == {
        "httpCode",
        "message",
        "timestamp",
        "type",
        "name",
        "requestId",
        "problems",
    }
    assert error["timestamp"].endswith("Z")
