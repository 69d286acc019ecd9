"""The admin's screens of gateways, longcodes and sender identities."""

from typing import Any

import pytest
import responses
from django.contrib.auth.models import User
from django.test import Client

from config import roles
from senders.gateways.contract import CredentialField
from senders.gateways.simulator.adapter import Simulator
from senders.models import Gateway, IdentityStatusChange, Longcode, SenderIdentity

SECRETS = ("key-of-the-account", "secret-of-callbacks")
GATEWAYS = "/admin/senders/gateway/"
LONGCODES = "/admin/senders/longcode/"
IDENTITIES = "/admin/senders/senderidentity/"


def signed_in(role: str) -> Client:
    roles.establish()
    user = User.objects.create_user(f"{role} person", password="x")
    roles.give(user, role)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin(db: None) -> Client:
    return signed_in(roles.SENDER_ADMIN)


@pytest.fixture
def auditor(db: None) -> Client:
    return signed_in(roles.AUDITOR)


def text_of(response: Any) -> str:
    return str(response.content.decode())


def no_history(**fields: Any) -> dict[str, Any]:
    """An identity's form also carries the (empty) form of its read-only history."""
    prefix = "status_changes"
    return {**fields, f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}


# Gateways.


def test_a_new_gateway_asks_for_what_its_carrier_needs_and_stores_it(admin: Client) -> None:
    page = admin.get(f"{GATEWAYS}add/", follow=True)
    assert page.redirect_chain == [("?kind=simulator", 302)]
    assert "Signing secret" in text_of(page)
    assert "Simulator" in text_of(page)

    admin.post(
        f"{GATEWAYS}add/?kind=simulator",
        {
            "name": "Second",
            "base_url": "http://127.0.0.1:9",
            "credential_api_key": "k",
            "credential_signing_secret": "s",
        },
    )

    gateway = Gateway.objects.get()
    assert (gateway.kind, gateway.base_url) == ("simulator", "http://127.0.0.1:9")
    assert gateway.credentials == {"api_key": "k", "signing_secret": "s"}


def test_a_new_gateway_without_its_credentials_is_refused_by_name(admin: Client) -> None:
    page = admin.post(
        f"{GATEWAYS}add/?kind=simulator", {"name": "Second", "base_url": "http://127.0.0.1:9"}
    )

    assert "Give the API key: the carrier insists on it." in text_of(page)
    assert not Gateway.objects.exists()


def test_an_unknown_carrier_can_not_be_added(admin: Client) -> None:
    page = admin.get(f"{GATEWAYS}add/?kind=pigeon", follow=True)

    assert page.redirect_chain == [("?kind=simulator", 302)]


@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_no_page_shows_a_credential(
    who: str, request: pytest.FixtureRequest, gateway: Gateway
) -> None:
    client: Client = request.getfixturevalue(who)
    for page in ("", f"{gateway.pk}/change/", f"{gateway.pk}/history/"):
        text = text_of(client.get(GATEWAYS + page))
        assert gateway.name in text
        assert not any(secret in text for secret in SECRETS)


def test_a_refused_form_does_not_echo_a_credential(admin: Client, gateway: Gateway) -> None:
    page = admin.post(
        f"{GATEWAYS}{gateway.pk}/change/", {"name": "", "credential_api_key": "just-typed"}
    )

    assert "just-typed" not in text_of(page)
    assert page.context["errors"]


@pytest.mark.parametrize("pasted", ["key\u200b", "\u202ekey", "key\nkey", "“key”"])
def test_a_credential_with_a_character_that_no_key_has_is_refused(
    admin: Client, gateway: Gateway, pasted: str
) -> None:
    page = admin.post(
        f"{GATEWAYS}{gateway.pk}/change/",
        {"name": gateway.name, "base_url": gateway.base_url, "credential_api_key": pasted},
    )

    assert "it holds a character that no key has" in text_of(page)
    gateway.refresh_from_db()
    assert gateway.credentials["api_key"] == "key-of-the-account"


def test_an_empty_credential_keeps_the_stored_one(admin: Client, gateway: Gateway) -> None:
    admin.post(
        f"{GATEWAYS}{gateway.pk}/change/",
        {
            "name": "Renamed",
            "base_url": gateway.base_url,
            "credential_api_key": "",
            "credential_signing_secret": "rotated",
        },
    )

    gateway.refresh_from_db()
    assert gateway.name == "Renamed"
    assert gateway.credentials == {"api_key": "key-of-the-account", "signing_secret": "rotated"}


def test_only_a_credential_that_the_carrier_does_not_insist_on_can_be_removed(
    admin: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = (
        CredentialField("api_key", "API key"),
        CredentialField("signing_secret", "Signing secret", is_required=False),
    )
    monkeypatch.setattr(Simulator, "credential_fields", fields)

    admin.post(
        f"{GATEWAYS}{gateway.pk}/change/",
        {
            "name": gateway.name,
            "base_url": gateway.base_url,
            "remove_api_key": "on",
            "remove_signing_secret": "on",
        },
    )

    gateway.refresh_from_db()
    assert gateway.credentials == {"api_key": "key-of-the-account"}


def test_saving_a_gateway_leaves_alone_what_moved_while_the_form_was_open(
    admin: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    form_was_read = Gateway.clean

    def the_carrier_fails_meanwhile(self: Gateway) -> None:
        Gateway.objects.filter(pk=gateway.pk).update(consecutive_failures=4, refused_callbacks=7)
        form_was_read(self)

    monkeypatch.setattr(Gateway, "clean", the_carrier_fails_meanwhile)

    admin.post(
        f"{GATEWAYS}{gateway.pk}/change/",
        {"name": gateway.name, "base_url": gateway.base_url, "is_paused": "on"},
    )

    gateway.refresh_from_db()
    assert gateway.is_paused
    assert (gateway.consecutive_failures, gateway.refused_callbacks) == (4, 7)


def test_the_history_of_a_gateway_says_who_paused_it(admin: Client, gateway: Gateway) -> None:
    admin.post(
        f"{GATEWAYS}{gateway.pk}/change/",
        {"name": gateway.name, "base_url": gateway.base_url, "is_paused": "on"},
    )

    history = text_of(admin.get(f"{GATEWAYS}{gateway.pk}/history/"))
    assert "Sender admin person" in history
    assert "Is paused:" in history


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_can_put_an_old_version_of_a_gateway_back(
    admin: Client, gateway: Gateway, method: str
) -> None:
    version = gateway.history.get().pk
    Gateway.objects.filter(pk=gateway.pk).update(name="Now")

    assert getattr(admin, method)(f"{GATEWAYS}{gateway.pk}/history/{version}/").status_code == 404

    gateway.refresh_from_db()
    assert gateway.name == "Now"
    assert gateway.credentials["api_key"] == "key-of-the-account"


def test_the_callback_address_is_for_those_who_may_change_the_gateway(
    admin: Client, auditor: Client, gateway: Gateway
) -> None:
    page = f"{GATEWAYS}{gateway.pk}/change/"

    assert gateway.callback_url in text_of(admin.get(page))
    assert gateway.callback_token not in text_of(auditor.get(page))


@responses.activate
def test_the_test_button_says_what_works_and_what_was_not_tried(
    admin: Client, gateway: Gateway, identity: SenderIdentity
) -> None:
    responses.get(
        f"{gateway.base_url}/account",
        json={"lines": [{"address": identity.handle, "state": "blocked"}]},
    )

    text = text_of(admin.get(f"{GATEWAYS}{gateway.pk}/test_connection/"))

    assert "The simulator answers." in text
    assert "The carrier says that it is blocked." in text
    assert "Not tried: it would show on somebody" in text
    assert not any(secret in text for secret in SECRETS)


def test_the_test_button_says_that_the_carrier_is_not_there(
    admin: Client, gateway: Gateway
) -> None:
    Gateway.objects.update(base_url="http://127.0.0.1:1")

    text = text_of(admin.get(f"{GATEWAYS}{gateway.pk}/test_connection/"))

    assert "The simulator can&#x27;t be reached" in text
    assert "The carrier could not be reached." in text


def test_an_auditor_can_not_test_a_gateway(auditor: Client, gateway: Gateway) -> None:
    assert auditor.get(f"{GATEWAYS}{gateway.pk}/test_connection/").status_code == 403


def test_a_gateway_of_a_carrier_that_is_gone_can_still_be_read(
    admin: Client, gateway: Gateway
) -> None:
    Gateway.objects.update(kind="pigeon")

    page = admin.get(f"{GATEWAYS}{gateway.pk}/change/")

    assert "pigeon (not in this version)" in text_of(page)


# Longcodes.


def test_a_longcode_is_stored_as_e164_however_it_was_written(
    admin: Client, gateway: Gateway
) -> None:
    admin.post(
        f"{LONGCODES}add/",
        {
            "number": "+1 (303) 555-0142",
            "gateway": gateway.pk,
            "price_per_segment": "0.0079",
            "is_active": "on",
        },
    )

    assert Longcode.objects.get().number == "+13035550142"


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("303 555 0142", "Write the number with + and country code, such as +14155550101."),
        ("hello", "Write the number with + and country code, such as +14155550101."),
        ("+13035550100", "already exists"),
    ],
)
def test_a_number_that_is_none_or_taken_is_refused_with_what_to_do(
    admin: Client, longcode: Longcode, number: str, sentence: str
) -> None:
    page = admin.post(
        f"{LONGCODES}add/",
        {"number": number, "gateway": longcode.gateway_id, "price_per_segment": "0"},
    )

    assert sentence in text_of(page)
    assert Longcode.objects.count() == 1


def test_the_number_of_a_longcode_never_changes(admin: Client, longcode: Longcode) -> None:
    admin.post(
        f"{LONGCODES}{longcode.pk}/change/",
        {
            "number": "+13035550199",
            "label": "Moved",
            "gateway": longcode.gateway_id,
            "price_per_segment": "0",
        },
    )

    longcode.refresh_from_db()
    assert (longcode.number, longcode.label) == ("+13035550100", "Moved")


# Sender identities.


def test_an_identity_is_made_with_a_free_longcode(admin: Client, longcode: Longcode) -> None:
    admin.post(
        f"{IDENTITIES}add/",
        {
            "name": "Denver team",
            "handle": " Denver@Example.com ",
            "gateway": longcode.gateway_id,
            "longcode": longcode.pk,
            "opt_in_message": "Hi! Please sign me up.",
        },
    )

    identity = SenderIdentity.objects.get()
    assert (identity.handle, identity.longcode) == ("denver@example.com", longcode)
    assert identity.status == "active"


def test_a_longcode_of_another_identity_can_not_be_attached(
    admin: Client, identity: SenderIdentity
) -> None:
    page = admin.post(
        f"{IDENTITIES}add/",
        {
            "name": "Second",
            "handle": "second@example.com",
            "gateway": identity.gateway_id,
            "longcode": identity.longcode_id,
            "opt_in_message": "Hi!",
        },
    )

    assert "Select a valid choice" in text_of(page)
    assert SenderIdentity.objects.count() == 1


def test_a_carrier_without_imessage_can_not_have_identities(
    admin: Client, longcode: Longcode
) -> None:
    Gateway.objects.update(kind="pigeon")

    page = admin.post(
        f"{IDENTITIES}add/",
        {
            "name": "Second",
            "handle": "second@example.com",
            "gateway": longcode.gateway_id,
            "longcode": longcode.pk,
            "opt_in_message": "Hi!",
        },
    )

    assert "has no iMessage. Choose another gateway." in text_of(page)


def test_a_status_is_changed_with_a_reason_and_listed_in_the_history(
    admin: Client, identity: SenderIdentity
) -> None:
    done = admin.post(
        f"{IDENTITIES}{identity.pk}/set_status/",
        {"seen": "active", "to": "disabled", "reason": "New phone on Monday."},
        follow=True,
    )

    identity.refresh_from_db()
    assert identity.status == "disabled"
    change = IdentityStatusChange.objects.get()
    assert change.by is not None
    assert change.by.username == "Sender admin person"
    assert "Denver team is now disabled." in text_of(done)
    assert "New phone on Monday." in text_of(done)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"to": "disabled"}, "Write why the status changes"),
        ({"to": "disabled", "reason": "  "}, "Write why the status changes"),
        ({"to": "disabled", "reason": "x" * 301}, "Shorten the reason"),
        ({"reason": "Why not."}, "Choose the new status."),
        ({"to": "active", "reason": "Same."}, "Select a valid choice"),
        ({"to": "asleep", "reason": "Why not."}, "Select a valid choice"),
    ],
)
def test_a_status_change_that_lacks_something_says_what(
    admin: Client, identity: SenderIdentity, fields: dict[str, str], sentence: str
) -> None:
    page = admin.post(f"{IDENTITIES}{identity.pk}/set_status/", {"seen": "active", **fields})

    assert sentence in text_of(page)
    assert not IdentityStatusChange.objects.exists()


def test_a_decision_on_an_outdated_page_is_not_carried_out(
    admin: Client, identity: SenderIdentity
) -> None:
    SenderIdentity.objects.update(status="banned")

    done = admin.post(
        f"{IDENTITIES}{identity.pk}/set_status/",
        {"seen": "active", "to": "disabled", "reason": "Holiday."},
        follow=True,
    )

    identity.refresh_from_db()
    assert identity.status == "banned"
    assert "Nothing was changed: Denver team became banned in the meantime." in text_of(done)


def test_the_status_can_not_be_changed_through_the_form_of_the_identity(
    admin: Client, identity: SenderIdentity
) -> None:
    admin.post(
        f"{IDENTITIES}{identity.pk}/change/",
        no_history(
            name="Renamed",
            handle=identity.handle,
            gateway=identity.gateway_id,
            longcode=identity.longcode_id,
            opt_in_message="Hi!",
            status="banned",
        ),
    )

    identity.refresh_from_db()
    assert (identity.name, identity.status) == ("Renamed", "active")


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_who_may_change_identities_can_change_a_status(
    auditor: Client, identity: SenderIdentity, method: str
) -> None:
    page = f"{IDENTITIES}{identity.pk}/set_status/"

    answer = getattr(auditor, method)(page, {"seen": "active", "to": "banned", "reason": "x"})

    assert answer.status_code == 403
    identity.refresh_from_db()
    assert identity.status == "active"


def test_an_unknown_identity_is_not_found(admin: Client) -> None:
    assert admin.get(f"{IDENTITIES}99/set_status/").status_code == 404


# Who may what.


@pytest.mark.parametrize("place", [GATEWAYS, LONGCODES, IDENTITIES])
def test_an_auditor_reads_and_changes_nothing(
    auditor: Client, identity: SenderIdentity, place: str
) -> None:
    row = {
        GATEWAYS: identity.gateway_id,
        LONGCODES: identity.longcode_id,
        IDENTITIES: identity.pk,
    }[place]

    assert auditor.get(place).status_code == 200
    page = auditor.get(f"{place}{row}/change/")
    assert page.status_code == 200
    assert 'name="_save"' not in text_of(page)
    assert auditor.post(f"{place}{row}/change/", {"name": "Mine"}).status_code == 403
    assert auditor.post(f"{place}add/?kind=simulator", {"name": "Mine"}).status_code == 403


@pytest.mark.parametrize("place", [GATEWAYS, LONGCODES, IDENTITIES])
def test_nobody_deletes_a_sender(
    admin_client: Client, identity: SenderIdentity, place: str
) -> None:
    assert admin_client.post(f"{place}{identity.pk}/delete/", {"post": "yes"}).status_code in (
        403,
        404,
    )
    assert SenderIdentity.objects.exists()
    assert Longcode.objects.exists()
    assert Gateway.objects.exists()


def test_marketing_has_no_way_into_the_admin(db: None) -> None:
    assert signed_in(roles.MARKETING).get(GATEWAYS).status_code in (302, 403)


# The first page.


def test_the_first_page_lists_lines_in_trouble_first(
    admin: Client, identity: SenderIdentity
) -> None:
    other = Longcode.objects.create(number="+13035550101", gateway=identity.gateway)
    SenderIdentity.objects.create(
        name="Zeta", handle="zeta@example.com", longcode=other, gateway=identity.gateway
    )
    SenderIdentity.objects.filter(name="Zeta").update(status="banned")

    page = admin.get("/admin/")

    assert [row.subject.name for row in page.context["identities"]] == ["Zeta", "Denver team"]
    assert "Banned" in text_of(page)


def test_the_first_page_of_an_empty_system_says_what_to_do_first(admin: Client) -> None:
    assert "Nobody can speak yet." in text_of(admin.get("/admin/"))


def test_the_first_page_takes_the_same_queries_for_many_lines(
    admin: Client, identity: SenderIdentity, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        longcode = Longcode.objects.create(
            number=f"+130355501{number + 10}", gateway=identity.gateway
        )
        SenderIdentity.objects.create(
            name=f"Line {number}",
            handle=f"{number}@example.com",
            longcode=longcode,
            gateway=identity.gateway,
        )

    with django_assert_max_num_queries(10):
        admin.get("/admin/")
