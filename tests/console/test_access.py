"""Who may open which page, and press which button."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config import roles
from messaging.models import Send, Template
from tests.console.conftest import House

PAGES = (
    "/",
    "/sends/",
    "/templates/",
    "/conversations/",
    "/fallbacks/",
    "/subscribers/",
    "/groups/",
    "/glossary/",
)


@pytest.fixture
def rows(house: House) -> dict[str, int]:
    """A row of everything that has a page."""
    send = house.expanded()
    return {
        "send": send.public_id,
        "template": Template.objects.create(name="Welcome", body="Hi").public_id,
        "conversation": house.hears("Hello").public_id,
        "subscriber": house.ada.public_id,
        "group": house.group.public_id,
        "message": send.message_set.exclude(reason="").first().public_id,
    }


ONE = (
    "/sends/{send}/",
    "/sends/{send}/progress",
    "/templates/{template}/",
    "/conversations/{conversation}/",
    "/conversations/{conversation}/news",
    "/fallbacks/{message}/",
    "/subscribers/{subscriber}/",
    "/groups/{group}/",
)

ACTIONS = (
    "/compose/",
    "/compose/forecast",
    "/sends/{send}/start",
    "/sends/{send}/pause",
    "/sends/{send}/resume",
    "/sends/{send}/cancel",
    "/templates/new",
    "/templates/{template}/",
    "/templates/{template}/archive",
    "/conversations/{conversation}/reply",
    "/conversations/{conversation}/read",
    "/conversations/{conversation}/typing",
    "/conversations/{conversation}/tapback",
    "/subscribers/{subscriber}/opt-out",
)


def test_a_stranger_is_asked_to_sign_in(rows: dict[str, int], client: Client) -> None:
    for path in (*PAGES, *ONE):
        answer = client.get(path.format(**rows))
        assert answer.status_code == 302, path
        assert answer.url.startswith("/login/?next=")


@pytest.mark.parametrize("role", roles.ROLES)
def test_everybody_with_a_role_can_read_everything(
    rows: dict[str, int], signed_in: Callable[[str], Client], role: str
) -> None:
    client = signed_in(role)
    for path in (*PAGES, *ONE):
        assert client.get(path.format(**rows)).status_code == 200, path


@pytest.mark.parametrize("role", [roles.AUDITOR, roles.SENDER_ADMIN])
def test_only_marketing_can_change_anything(
    rows: dict[str, int], signed_in: Callable[[str], Client], role: str
) -> None:
    client = signed_in(role)
    before = Send.objects.get().state
    for path in ACTIONS:
        assert client.post(path.format(**rows), {"body": "x"}).status_code == 403, path
    assert Send.objects.get().state == before


def test_an_auditor_is_offered_nothing_to_press(rows: dict[str, int], auditor: Client) -> None:
    for path in (*PAGES, *ONE):
        page = auditor.get(path.format(**rows)).content.decode()
        forms = [part.split(">")[0] for part in page.split("<form")[1:]]
        posts = [form for form in forms if 'method="post"' in form and "/logout/" not in form]
        assert posts == [], path
        assert "/compose/" not in page, path


def test_actions_are_not_done_by_following_a_link(rows: dict[str, int], marketing: Client) -> None:
    for path in ACTIONS:
        if path.startswith(("/compose/", "/templates/")) and not path.endswith("archive"):
            continue
        assert marketing.get(path.format(**rows)).status_code == 405


def test_somebody_without_a_role_is_told_so(house: House, client: Client) -> None:
    client.force_login(User.objects.create_user("new"))
    answer = client.get("/sends/")
    assert answer.status_code == 403
    assert "Your role does not include it" in answer.content.decode()


def test_signing_in_leads_to_the_page_that_was_asked_for(house: House, client: Client) -> None:
    roles.establish()
    user = User.objects.create_user("ada", password="analytical engine")
    roles.give(user, roles.MARKETING)
    answer = client.post(
        "/login/?next=/sends/", {"username": "ada", "password": "analytical engine"}
    )
    assert (answer.status_code, answer.url) == (302, "/sends/")
    answer = client.get("/sends/")
    assert answer.status_code == 200


def test_a_wrong_password_says_what_to_check_and_keeps_the_name(db: None, client: Client) -> None:
    page = client.post("/login/", {"username": "ada", "password": "no"}).content.decode()
    assert "don’t match" in page
    assert 'value="ada"' in page


def test_a_user_name_longer_than_any_is_refused_like_a_wrong_one(db: None, client: Client) -> None:
    answer = client.post("/login/", {"username": "a" * 300, "password": "no"})
    assert answer.status_code == 200
    assert "don’t match" in answer.content.decode()


def test_signing_in_never_leads_elsewhere(db: None, client: Client) -> None:
    User.objects.create_user("ada", password="analytical engine")
    answer = client.post(
        "/login/",
        {"username": "ada", "password": "analytical engine", "next": "https://evil.example/"},
    )
    assert answer.url == "/"


def test_a_poll_of_somebody_who_was_signed_out_reloads_their_page(
    rows: dict[str, int], client: Client
) -> None:
    answer = client.get(
        f"/conversations/{rows['conversation']}/news", headers={"HX-Request": "true"}
    )
    assert answer.headers["HX-Refresh"] == "true"


def test_pages_with_peoples_data_are_not_kept_by_caches(
    rows: dict[str, int], marketing: Client
) -> None:
    assert "no-store" in marketing.get("/subscribers/").headers["Cache-Control"]


def test_no_page_needs_inline_script_or_style(rows: dict[str, int], marketing: Client) -> None:
    for path in (*PAGES, *ONE, "/compose/"):
        answer = marketing.get(path.format(**rows))
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        page = answer.content.decode()
        for inline in (" style=", "<style", "hx-on", " onclick="):
            assert inline not in page, path
        for script in page.split("<script")[1:]:
            assert "src=" in script.split(">")[0], path


_NONSENSE = ("abc", "-1", "9" * 40, "%00", "٣", "<b>", "../..", "2026-13-99T99:99")


@pytest.mark.parametrize("nonsense", _NONSENSE)
def test_nonsense_in_an_address_is_never_an_error_of_ours(
    rows: dict[str, int], marketing: Client, nonsense: str
) -> None:
    names = ("after", "before", "q", "show", "route", "reason", "state", "days", "identity", "send")
    query = "&".join(f"{name}={nonsense}" for name in (*names, "current", "version"))
    for path in [*PAGES, *ONE]:
        assert marketing.get(f"{path.format(**rows)}?{query}").status_code in (200, 204, 404)
    for path in ("/compose/?to=", "/compose/?like=", "/compose/?draft=", "/compose/?group="):
        assert marketing.get(path + nonsense).status_code == 404


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "UTC\x00", "a" * 5000])
def test_a_zone_that_does_not_exist_is_read_as_utc(
    house: House, marketing: Client, zone: str
) -> None:
    marketing.cookies["zone"] = zone
    assert "UTC" in marketing.get("/").content.decode()


def test_moments_are_shown_in_the_zone_of_the_browser(house: House, marketing: Client) -> None:
    marketing.cookies["zone"] = "Asia/Tokyo"
    assert "JST" in marketing.get("/").content.decode()
