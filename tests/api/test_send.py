"""``POST /v3/send``: who gets it how, and what is answered."""

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from api import idempotency, tokens
from api.models import IdempotencyKey, Token
from messaging.models import Conversation, Message, Send, Template
from senders.models import Longcode, SenderIdentity
from subscribers.models import Group, Membership, Subscriber
from tests.api.conftest import CAPABLE, NOT_CAPABLE, NOT_OPTED_IN, OPTED_OUT, STRANGER, Call

People = dict[str, Subscriber]
NAME = "care@tapback.example"


def ways() -> dict[str, tuple[str, str]]:
    """Route and reason of every outgoing message, by number."""
    return {
        Subscriber.objects.get(pk=message.subscriber_id).phone: (message.route, message.reason)
        for message in Message.objects.filter(direction="out")
    }


def data(answer: HttpResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["success"] is True
    return body["data"]


def test_each_kind_of_person_gets_it_by_their_way(post: Call, people: People) -> None:
    answer = data(
        post(
            {
                "subscribers": [CAPABLE, NOT_CAPABLE, NOT_OPTED_IN, OPTED_OUT, STRANGER],
                "message": "Hello",
                "senderName": NAME,
            }
        )
    )

    assert ways() == {
        CAPABLE: ("imessage", ""),
        NOT_CAPABLE: ("sms", "not_capable"),
        NOT_OPTED_IN: ("sms", "not_opted_in"),
        OPTED_OUT: ("", "opted_out"),
        STRANGER: ("sms", "not_opted_in"),
    }
    send = Send.objects.get()
    assert answer["messageId"] == str(send.public_id)
    assert (answer["totalSent"], answer["suppressed"]) == (4, 1)
    assert answer["totalFailedInternationalRecipients"] == 0
    assert answer["routes"][0] == {"route": "sms", "reason": "not_opted_in", "count": 2}
    assert {"route": "", "reason": "opted_out", "count": 1} in answer["routes"]


def test_outbound_ids_are_those_of_the_messages_that_go(post: Call, people: People) -> None:
    answer = data(
        post({"subscribers": [CAPABLE, OPTED_OUT], "message": "Hello", "senderName": NAME})
    )

    going = Message.objects.get(subscriber=people[CAPABLE])
    assert answer["outboundIds"] == [going.public_id]


def test_messages_to_named_people_wait_for_a_worker_when_the_answer_is_given(
    post: Call, people: People, hints: list[tuple[Any, ...]]
) -> None:
    data(post({"subscribers": [CAPABLE], "message": "Hello"}))

    assert Message.objects.get().state == "queued"
    assert hints == [("messaging.tasks.dispatch",)]


def test_without_a_sender_it_is_an_ordinary_text(post: Call, people: People) -> None:
    data(post({"subscribers": [CAPABLE], "message": "Hello"}))

    assert ways() == {CAPABLE: ("sms", "")}


def test_a_longcode_stands_for_the_identity_attached_to_it(
    post: Call, people: People, longcode: Longcode
) -> None:
    data(post({"subscribers": [CAPABLE], "message": "Hello", "longcodeId": longcode.public_id}))

    assert ways() == {CAPABLE: ("imessage", "")}


def test_sender_name_beats_longcode_id_which_stays_the_number_for_sms(
    post: Call, people: People, identity: SenderIdentity
) -> None:
    other = Longcode.objects.create(number="+13035550101", gateway=identity.gateway)

    data(
        post(
            {
                "subscribers": [CAPABLE],
                "message": "Hello",
                "senderName": NAME,
                "longcodeId": other.public_id,
            }
        )
    )

    send = Send.objects.get()
    assert (send.identity, send.longcode) == (identity, other)


@pytest.mark.parametrize(
    "written", [CAPABLE, "+1 (415) 555-0101", "4155550101", 4155550101, "1-415-555-0101"]
)
def test_a_number_is_understood_however_it_is_written(
    post: Call, people: People, written: str | int
) -> None:
    data(post({"subscribers": [written], "message": "Hello"}))

    assert list(ways()) == [CAPABLE]


def test_a_person_named_twice_gets_one_message(post: Call, people: People) -> None:
    answer = data(
        post(
            {
                "subscribers": [CAPABLE, "4155550101"],
                "subscriberIds": [people[CAPABLE].public_id],
                "message": "Hello",
            }
        )
    )

    assert answer["totalSent"] == 1
    assert Message.objects.count() == 1


def test_an_unknown_number_becomes_a_subscriber(post: Call, people: People) -> None:
    data(post({"subscribers": [STRANGER], "message": "Hello"}))

    assert Subscriber.objects.filter(phone=STRANGER).exists()


def test_a_new_person_gets_it_although_the_databases_clock_is_ahead(
    post: Call, people: People
) -> None:
    Subscriber.objects.create(phone=STRANGER, created_at=timezone.now() + dt.timedelta(seconds=5))

    assert data(post({"subscribers": [STRANGER], "message": "Hello"}))["totalSent"] == 1


def test_people_are_named_by_email(post: Call, people: People) -> None:
    Subscriber.objects.filter(phone=CAPABLE).update(email="Ada@Example.com")

    data(post({"subscribers": ["ada@example.COM"], "message": "Hello"}))

    assert list(ways()) == [CAPABLE]


def test_an_email_that_names_nobody_or_several_is_refused(post: Call, people: People) -> None:
    Subscriber.objects.filter(phone__in=[CAPABLE, NOT_CAPABLE]).update(email="two@example.com")

    answer = post(
        {"subscribers": [CAPABLE, "two@example.com", "none@example.com"], "message": "Hello"}
    )

    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["problems"]] == [
        "subscribers[1]",
        "subscribers[2]",
    ]
    assert not Send.objects.exists()


@pytest.fixture
def group(people: People) -> Group:
    group = Group.objects.create(name="Friends")
    for phone in (CAPABLE, NOT_CAPABLE, OPTED_OUT):
        Membership.objects.create(group=group, subscriber=people[phone])
    return group


def test_a_group_is_forecast_and_expanded_by_a_worker(
    post: Call, group: Group, hints: list[tuple[Any, ...]]
) -> None:
    answer = data(post({"groups": [group.public_id], "message": "Hello", "senderName": NAME}))

    send = Send.objects.get()
    assert (answer["totalSent"], answer["suppressed"], answer["outboundIds"]) == (2, 1, [])
    assert send.kind == Send.Kind.BROADCAST
    assert not Message.objects.exists()
    assert hints == [("messaging.tasks.expand", send.pk)]


def test_excluded_groups_are_left_out(post: Call, group: Group, people: People) -> None:
    answer = data(
        post(
            {
                "allSubscribers": True,
                "excludedGroupIds": [group.public_id],
                "message": "Hello",
            }
        )
    )

    assert answer["totalSent"] == 1


def test_all_subscribers_means_everybody(post: Call, people: People) -> None:
    answer = data(post({"allSubscribers": True, "message": "Hello"}))

    assert (answer["totalSent"], answer["suppressed"]) == (3, 1)


def test_a_template_is_filled_in(post: Call, people: People) -> None:
    template = Template.objects.create(name="Hello", body="Hi {{ first_name|there }}!")

    data(post({"subscribers": [CAPABLE, NOT_CAPABLE], "templateId": template.public_id}))

    assert set(Message.objects.values_list("body", flat=True)) == {"Hi Ada!", "Hi there!"}


def test_header_and_footer_are_lines_around_the_text(post: Call, people: People) -> None:
    data(post({"subscribers": [CAPABLE], "header": "Shop", "message": "Hello", "footer": "Bye"}))

    assert Message.objects.get().body == "Shop\nHello\nBye"


def test_an_image_goes_with_the_message(post: Call, people: People) -> None:
    data(post({"subscribers": [CAPABLE], "message": "Look", "image": "https://shop.example/a.png"}))

    assert Message.objects.get().media_urls == ["https://shop.example/a.png"]


def test_external_id_and_tags_are_kept(post: Call, people: People) -> None:
    data(
        post(
            {
                "subscribers": [CAPABLE],
                "message": "Hello",
                "externalId": "order-7",
                "tags": {"tenant": "north", "empty": ""},
            }
        )
    )

    send = Send.objects.get()
    assert (send.external_id, send.tags) == ("order-7", {"tenant": "north", "empty": ""})
    assert send.origin == Send.Origin.API


@pytest.mark.parametrize(
    "form", ["%Y%m%dT%H%M%S-0000", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S+0000"]
)
def test_a_scheduled_send_waits_for_its_moment(post: Call, people: People, form: str) -> None:
    moment = timezone.now().replace(microsecond=0) + dt.timedelta(days=2)

    answer = data(
        post({"subscribers": [CAPABLE], "message": "Hello", "scheduledDate": moment.strftime(form)})
    )

    send = Send.objects.get()
    assert (send.state, send.scheduled_at) == ("scheduled", moment)
    assert not Message.objects.exists()
    assert (answer["totalSent"], answer["outboundIds"]) == (1, [])


def test_a_few_named_people_are_transactional_and_many_are_not(post: Call, people: People) -> None:
    few = [f"+1{area}5550{last}" for area in (415, 416) for last in range(100, 150)]

    data(post({"subscribers": few, "message": "Hello"}))
    data(post({"subscribers": [*few, CAPABLE.replace("101", "199")], "message": "Hello"}))

    assert list(Send.objects.order_by("pk").values_list("kind", flat=True)) == [
        Send.Kind.TRANSACTIONAL,
        Send.Kind.BROADCAST,
    ]


def test_an_answer_in_a_thread_leaves_from_the_line_of_the_thread(
    post: Call, people: People, identity: SenderIdentity
) -> None:
    other = Longcode.objects.create(number="+13035550101", gateway=identity.gateway)
    thread = Conversation.objects.create(subscriber=people[CAPABLE], longcode=other)

    data(post({"threadId": thread.public_id, "message": "Hello"}))

    send = Send.objects.get()
    assert (send.identity, send.longcode, send.subscriber_ids) == (
        None,
        other,
        [people[CAPABLE].pk],
    )


def test_an_answer_in_a_thread_of_texts_stays_a_text(
    post: Call, people: People, identity: SenderIdentity
) -> None:
    """The longcode has an identity, but the person wrote by SMS."""
    thread = Conversation.objects.create(subscriber=people[CAPABLE], longcode=identity.longcode)

    data(post({"threadId": thread.public_id, "message": "Hello"}))

    assert Send.objects.get().identity is None


def test_the_key_check_names_the_token(client: Client, token: tuple[Token, str]) -> None:
    answer = client.get(
        "/v3/auth/verify-api-key", headers={"Authorization": f"Bearer {token[1]}"}
    ).json()

    assert (answer["message"], answer["data"]) == ("API Key verified", {"name": "Shop"})


# Idempotency.

SMALL = {"subscribers": [CAPABLE], "message": "Hello"}


def test_a_repeated_request_id_is_a_conflict_and_sends_nothing(post: Call, people: People) -> None:
    assert post(SMALL, key="order-7_a").status_code == 200

    again = post(SMALL, key="order-7_a")

    assert again.status_code == 409
    assert again.json()["requestId"] == "order-7_a"
    assert Send.objects.count() == 1


def test_a_request_id_belongs_to_its_token(post: Call, people: People) -> None:
    _, other = tokens.issue(name="Other", scopes=["send"])

    assert post(SMALL, key="a").status_code == 200
    assert post(SMALL, key="a", Authorization=f"Bearer {other}").status_code == 200


def test_a_refused_request_does_not_use_up_its_id(post: Call, people: People) -> None:
    assert post({**SMALL, "senderName": "nobody"}, key="a").status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert post(SMALL, key="a").status_code == 200


def test_every_answer_carries_a_request_id(post: Call, people: People) -> None:
    assert post(SMALL, key="mine")["X-Request-Id"] == "mine"
    assert len(post(SMALL)["X-Request-Id"]) == 36
    refused = post({})
    assert refused["X-Request-Id"] == refused.json()["requestId"]


@pytest.mark.parametrize("key", ["with space", "x" * 201, "ümlaut", "a\x00b", "semi;colon"])
def test_a_request_id_of_another_form_is_refused(post: Call, people: People, key: str) -> None:
    answer = post(SMALL, key=key)

    assert answer.status_code == 400
    assert answer["X-Request-Id"] != key
    assert not Send.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_at_the_same_moment_one_sends() -> None:
    """The second reaches the key while the first still holds it."""
    token, _ = tokens.issue(name="Shop", scopes=["send"])
    outcome: list[bool] = []

    def second() -> None:
        try:
            outcome.append(idempotency.claim(token, "a", body={}, status=200))
        finally:
            connections.close_all()

    with transaction.atomic():
        assert idempotency.claim(token, "a", body={}, status=200)
        thread = threading.Thread(target=second)
        thread.start()
        _wait_until_blocked()
        assert outcome == []
    thread.join()

    assert outcome == [False]
    assert IdempotencyKey.objects.count() == 1


def _wait_until_blocked() -> None:
    """Return when another session waits for this one."""
    with connection.cursor() as cursor:
        for _ in range(10_000):
            cursor.execute(
                """SELECT count(*) FROM pg_locks
                    WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"""
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waited")
