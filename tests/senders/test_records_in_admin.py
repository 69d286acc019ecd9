"""Every screen of the admin, of every app: it opens, facts can't be changed, nothing is deleted."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from api.models import Token
from config import roles
from messaging.models import (
    Attempt,
    Batch,
    Conversation,
    Event,
    Message,
    Send,
    Template,
)
from senders.identities import change_status
from senders.models import Lane, SenderIdentity
from senders.record_admin import RecordAdmin
from subscribers.models import ConsentEvent, ConsentEvidence, Group, OptIn, Subscriber
from webhooks.models import Receipt

SCREENS = sorted(
    (model for model in admin.site._registry if model._meta.app_label != "auth"),
    key=lambda model: model._meta.label,
)
FACTS = [model for model in SCREENS if isinstance(admin.site._registry[model], RecordAdmin)]
PHONE = "+13035550111"


def name_of(model: type[Model]) -> str:
    return model._meta.label


@pytest.fixture
def rows(identity: SenderIdentity) -> dict[type[Model], Model]:
    """One row for every screen."""
    change_status(identity, to="disabled", reason="Moving house.")
    person = Subscriber.objects.create(phone=PHONE, first_name="Ann", imessage_capability="yes")
    OptIn.objects.create(subscriber=person, identity=identity, opted_in_at=timezone.now())
    group = Group.objects.create(name="Friends")
    consent = ConsentEvent.objects.create(
        subscriber=person,
        identity=identity,
        action="opt_in",
        scope="identity",
        source="message",
        at=timezone.now(),
        evidence_digest="0" * 64,
    )
    ConsentEvidence.objects.create(event=consent, phone=PHONE, words="Hi!")
    template = Template.objects.create(name="Welcome", body="Hi {{ first_name }}")
    lane, _ = Lane.objects.get_or_create(identity=identity)
    send = Send.objects.create(body="Hello", identity=identity, longcode=identity.longcode)
    message = Message.objects.create(
        direction="out",
        send=send,
        subscriber=person,
        longcode=identity.longcode,
        identity=identity,
        first_route="imessage",
        route="sms",
        reason="not_capable",
        state="sent",
        body="Hello",
    )
    return {
        type(row): row
        for row in (
            identity,
            identity.gateway,
            identity.longcode,
            identity.status_changes.get(),
            lane,
            person,
            group,
            consent,
            template,
            send,
            message,
            Attempt.objects.create(
                message=message, number=1, lane=lane, gateway=identity.gateway, route="sms"
            ),
            Batch.objects.create(
                lane=lane, send=send, route="sms", priority=1, message_ids=[message.pk]
            ),
            Event.objects.create(kind="state", message_id=message.pk, new="sent"),
            Conversation.objects.create(subscriber=person, longcode=identity.longcode),
            Receipt.objects.create(gateway=identity.gateway, digest="d", body=b'{"x": "\xff"}'),
            Token.objects.create(name="Shop", digest="e" * 64, hint="abcd", scopes=["send"]),
        )
    }


def address(page: str, model: type[Model], *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def auditor(db: None) -> Client:
    roles.establish()
    user = User.objects.create_user("auditor")
    roles.give(user, roles.AUDITOR)
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("model", SCREENS, ids=name_of)
def test_an_auditor_can_open_the_list_and_a_row_of_every_screen(
    auditor: Client, rows: dict[type[Model], Model], model: type[Model]
) -> None:
    assert auditor.get(address("changelist", model)).status_code == 200
    page = auditor.get(address("change", model, rows[model].pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()


@pytest.mark.parametrize("model", SCREENS, ids=name_of)
def test_an_auditor_changes_nothing(
    auditor: Client, rows: dict[type[Model], Model], model: type[Model]
) -> None:
    row = rows[model]
    assert auditor.post(address("change", model, row.pk), {"name": "Mine"}).status_code == 403
    assert auditor.post(address("delete", model, row.pk), {"post": "yes"}).status_code == 403
    assert auditor.get(address("add", model)).status_code == 403


@pytest.mark.parametrize("model", FACTS, ids=name_of)
def test_not_even_a_superuser_changes_a_fact(
    admin_client: Client, rows: dict[type[Model], Model], model: type[Model]
) -> None:
    row = rows[model]
    assert admin_client.post(address("change", model, row.pk), {}).status_code == 403
    assert admin_client.get(address("add", model)).status_code == 403


@pytest.mark.parametrize("model", SCREENS, ids=name_of)
def test_not_even_a_superuser_deletes_a_row(
    admin_client: Client, rows: dict[type[Model], Model], model: type[Model]
) -> None:
    row = rows[model]

    answer = admin_client.post(address("delete", model, row.pk), {"post": "yes"})

    assert answer.status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", [Message, Attempt, Send, Subscriber, Conversation], ids=name_of)
def test_a_record_is_found_by_its_public_id(
    auditor: Client, rows: dict[type[Model], Model], model: type[Model]
) -> None:
    public_id = rows[model].public_id  # type: ignore[attr-defined]

    found = auditor.get(address("changelist", model), {"q": f" {public_id} "})
    assert list(found.context["cl"].result_list) == [rows[model]]
    missed = auditor.get(address("changelist", model), {"q": str(public_id + 1)})
    assert list(missed.context["cl"].result_list) == []


@pytest.mark.parametrize("model", [Message, Subscriber, Conversation], ids=name_of)
@pytest.mark.parametrize(
    ("term", "is_found"),
    [("+1 (303) 555-0111", True), ("+13035550112", False), ("+nonsense", False)],
)
def test_a_persons_records_are_found_by_number(
    auditor: Client,
    rows: dict[type[Model], Model],
    model: type[Model],
    term: str,
    is_found: bool,
) -> None:
    found = auditor.get(address("changelist", model), {"q": term})

    assert list(found.context["cl"].result_list) == [rows[model]] * is_found


def test_a_page_of_records_does_not_count_the_table(
    auditor: Client,
    rows: dict[type[Model], Model],
    django_assert_max_num_queries: object,
) -> None:
    with django_assert_max_num_queries(12) as queries:  # type: ignore[operator]
        auditor.get(address("changelist", Message))

    assert not [query for query in queries.captured_queries if "COUNT(" in query["sql"].upper()]


def test_a_token_is_never_shown(auditor: Client, rows: dict[type[Model], Model]) -> None:
    for page in (address("changelist", Token), address("change", Token, rows[Token].pk)):
        assert "e" * 64 not in auditor.get(page).content.decode()


def test_a_receipt_is_shown_whatever_its_bytes(
    auditor: Client, rows: dict[type[Model], Model]
) -> None:
    page = auditor.get(address("change", Receipt, rows[Receipt].pk)).content.decode()

    assert "{&quot;x&quot;: &quot;\N{REPLACEMENT CHARACTER}&quot;}" in page


def test_a_lane_shows_when_it_may_speak_next(
    auditor: Client, rows: dict[type[Model], Model]
) -> None:
    Lane.objects.update(next_at=timezone.now() + timedelta(minutes=1))

    assert "Denver team" in auditor.get(address("changelist", Lane)).content.decode()
