"""Who gets into the admin, and the team's screen there."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config import roles

TEAM = "/admin/auth/user/"


@pytest.fixture
def established(db: None) -> None:
    roles.establish()


def person(role: str) -> tuple[User, Client]:
    user = User.objects.create_user(role)
    roles.give(user, role)
    client = Client()
    client.force_login(user)
    return user, client


def test_the_admin_has_no_sign_in_of_its_own(db: None) -> None:
    answer = Client().get("/admin/senders/gateway/", follow=True)

    assert answer.redirect_chain == [
        ("/admin/login/?next=/admin/senders/gateway/", 302),
        ("/login/?next=/admin/senders/gateway/", 302),
    ]


def test_the_sign_in_leads_nowhere_outside(db: None) -> None:
    answer = Client().get("/admin/login/?next=https://elsewhere.example/")

    assert answer.headers["Location"] == "/login/?next=/admin/"


def test_who_may_not_enter_is_told_so_and_not_sent_in_circles(established: None) -> None:
    _, marketing = person(roles.MARKETING)

    answer = marketing.get("/admin/", follow=True)

    assert answer.status_code == 403
    assert len(answer.redirect_chain) == 1


def test_leaving_the_admin_leaves_the_console_too(established: None) -> None:
    _, auditor = person(roles.AUDITOR)

    answer = auditor.post("/admin/logout/")

    assert answer.headers["Location"] == "/login/"
    assert auditor.get("/admin/").status_code == 302


@pytest.mark.parametrize("role", [roles.SENDER_ADMIN, roles.AUDITOR])
def test_the_first_page_of_the_admin_opens_for_its_roles(established: None, role: str) -> None:
    _, client = person(role)

    assert client.get("/admin/").status_code == 200


def test_a_role_given_on_the_team_screen_opens_the_admin_and_taken_away_closes_it(
    established: None, admin_client: Client
) -> None:
    auditors = roles.Group.objects.get(name=roles.AUDITOR)
    admin_client.post(
        f"{TEAM}add/",
        {
            "username": "grace",
            "usable_password": "true",
            "password1": "a-long-pass-phrase",
            "password2": "a-long-pass-phrase",
            "groups": [auditors.pk],
        },
    )
    grace = User.objects.get(username="grace")
    assert grace.is_staff
    assert [group.name for group in grace.groups.all()] == [roles.AUDITOR]

    admin_client.post(
        f"{TEAM}{grace.pk}/change/", {"username": "grace", "is_active": "on", "groups": []}
    )
    grace.refresh_from_db()
    assert not grace.is_staff


def test_the_team_is_read_by_auditors_and_changed_by_superusers_only(established: None) -> None:
    user, auditor = person(roles.AUDITOR)
    _, sender_admin = person(roles.SENDER_ADMIN)

    assert auditor.get(TEAM).status_code == 200
    assert auditor.get(f"{TEAM}{user.pk}/change/").status_code == 200
    page = f"{TEAM}{user.pk}/change/"
    assert auditor.post(page, {"is_superuser": "on"}).status_code == 403
    assert auditor.get(f"{TEAM}{user.pk}/password/").status_code == 403
    assert sender_admin.get(TEAM).status_code == 403


def test_nobody_is_deleted(established: None, admin_client: Client) -> None:
    user, _ = person(roles.AUDITOR)

    assert admin_client.post(f"{TEAM}{user.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_the_navigation_offers_what_the_person_may_open(established: None) -> None:
    _, sender_admin = person(roles.SENDER_ADMIN)
    _, auditor = person(roles.AUDITOR)

    for_sender_admin = sender_admin.get("/admin/").content.decode()
    for_auditor = auditor.get("/admin/").content.decode()

    assert "Sender identities" in for_sender_admin
    assert TEAM not in for_sender_admin
    assert TEAM in for_auditor
