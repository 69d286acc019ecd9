"""The console as people use it: in a browser, with script, against a simulated carrier."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from config import roles
from messaging import dispatch, expand
from messaging.models import Message, Send
from senders.models import Gateway
from tests.console.conftest import House
from webhooks import process

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "analytical engine"
#: A busy machine is slow, not wrong.
expect.set_options(timeout=20_000)
SignIn = Callable[[str], Page]


@pytest.fixture
def sign_in(live_server: Any, settings: Any, house: House, simulator: str, page: Page) -> SignIn:
    """Opens the console as somebody with a role. Anything that a page reports as wrong is red."""
    settings.PUBLIC_URL = live_server.url
    Gateway.objects.update(base_url=simulator)
    roles.establish()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security" in said.text else None,
    )

    def as_role(role: str) -> Page:
        user = User.objects.create_user(role.lower().replace(" ", ""), password=PASSWORD)
        roles.give(user, role)
        page.goto(f"{live_server.url}/login/")
        page.get_by_label("User name").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
        return page

    yield as_role
    page.close()
    reset = urllib.request.Request(f"{simulator}/control/reset", b"{}", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()  # nothing more may come while rows go away
    assert complaints == []


@pytest.fixture
def phone(simulator: str) -> Callable[..., None]:
    """What a person does on their phone."""

    def act(**content: Any) -> None:
        request = urllib.request.Request(
            f"{simulator}/phone/act", json.dumps(content).encode(), method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()

    return act


def _counts(page: Page, kind: str) -> dict[str, int]:
    return {
        route: int(page.locator(f"[data-{kind}={route}]").inner_text().replace(",", ""))
        for route in ("imessage", "sms", "nobody")
    }


def test_a_send_from_compose_to_its_outcome(house: House, sign_in: SignIn) -> None:
    page = sign_in(roles.MARKETING)
    page.get_by_role("link", name="Compose", exact=True).click()
    page.get_by_label("Spring open house").first.check()
    page.get_by_role("button", name="first_name").click()
    page.get_by_label("Text", exact=True).press_sequentially(", our doors are open!")
    expect(page.locator(".phone.imessage .bubble")).to_have_text("Ada, our doors are open!")
    forecast = _counts(page, "forecast")
    assert forecast == {"imessage": 1, "sms": 2, "nobody": 3}
    page.get_by_role("button", name="Review before sending").click()
    assert _counts(page, "forecast") == forecast
    page.get_by_role("button", name="Send to 3 people").click()
    expect(page.get_by_text("Scheduled").first).to_be_visible()

    send = Send.objects.get()
    expand.run(send.pk)
    expect(page.locator("[data-outcome=gone]")).to_have_text("0")
    assert _counts(page, "outcome") == forecast
    dispatch.run()
    expect(page.locator("[data-outcome=gone]")).to_have_text("3")
    expect(page.get_by_role("heading", name="Everything has been handed over")).to_be_visible()
    assert _counts(page, "outcome") == forecast
    expect(page.locator("#people tbody tr")).to_have_count(6)


def test_a_reply_from_the_phone_shows_and_is_answered(
    house: House, sign_in: SignIn, phone: Callable[..., None]
) -> None:
    line = {"route": "imessage", "address": house.identity.handle}
    house.expanded(group_ids=[], subscriber_ids=[house.ada.pk], body="Will you come?")
    dispatch.run()
    conversation = house.hears("Perhaps")
    page = sign_in(roles.MARKETING)
    page.goto(page.url + f"conversations/{conversation.public_id}/")
    expect(page.get_by_text("Perhaps").last).to_be_visible()

    phone(kind="message", **{"from": house.ada.phone}, line=line, body="Yes, with my sister")
    _take_in(page)
    expect(page.locator("#said").get_by_text("Yes, with my sister")).to_be_visible()
    page.get_by_label("Answer").fill("Lovely, see you there")
    page.get_by_label("Answer").press("Enter")
    answered = page.locator(".said.ours .bubble.imessage", has_text="Lovely, see you there")
    expect(answered).to_be_visible()
    expect(page.get_by_label("Answer")).to_have_value("")
    assert Message.objects.get(body="Lovely, see you there").send.kind == Send.Kind.REPLY

    theirs = page.locator(".said:not(.ours)", has_text="Yes, with my sister")
    theirs.hover()
    theirs.get_by_label("Tapback").click()
    theirs.get_by_label("Loved").click()
    expect(page.get_by_label("Loved by you")).to_be_visible()


def _take_in(page: Page) -> None:
    """Wait for what the carrier tells us of people, and process it."""
    for _ in range(1_000):
        if process.process_people():
            return
        page.wait_for_timeout(20)
    pytest.fail("the carrier told us nothing")


def test_older_messages_join_above_and_the_poll_leaves_them_there(
    house: House, sign_in: SignIn
) -> None:
    for number in range(60):
        conversation = house.hears(f"Message {number:02}")
    page = sign_in(roles.MARKETING)
    page.goto(page.url + f"conversations/{conversation.public_id}/")
    expect(page.locator("#said .bubble")).to_have_count(40)
    page.get_by_role("link", name="Older messages").click()
    expect(page.locator("#said .bubble")).to_have_count(60)
    house.hears("One more")
    expect(page.locator("#said").get_by_text("One more")).to_be_visible()
    bodies = page.locator("#said .bubble").all_inner_texts()
    assert bodies == [*(f"Message {number:02}" for number in range(60)), "One more"]
    assert page.url.endswith(f"conversations/{conversation.public_id}/")


def test_an_auditor_reads_and_is_offered_nothing_to_change(house: House, sign_in: SignIn) -> None:
    send = house.expanded()
    conversation = house.hears("Hello")
    page = sign_in(roles.AUDITOR)
    base = page.url
    page.goto(f"{base}sends/{send.public_id}/")
    expect(page.get_by_role("heading", name="Outcome")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Pause|Cancel|Send"))).to_have_count(0)
    page.goto(f"{base}conversations/{conversation.public_id}/")
    expect(page.get_by_text("You can read this conversation.")).to_be_visible()
    conversation.refresh_from_db()
    assert conversation.unread == 1


def test_everything_can_be_sent_without_script(
    house: House, live_server: Any, sign_in: SignIn, browser: Any
) -> None:
    user = User.objects.create_user("plain", password=PASSWORD)
    roles.establish()
    roles.give(user, roles.MARKETING)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{live_server.url}/login/?next=/compose/")
    page.get_by_label("User name").fill("plain")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Spring open house").first.check()
    page.get_by_label("Text", exact=True).fill("Hello {{ first_name }}")
    page.get_by_role("button", name="Review before sending").click()
    page.get_by_role("button", name="Send to 3 people").click()
    assert Send.objects.get().state == "scheduled"
    context.close()


def test_a_chosen_theme_stays(house: House, sign_in: SignIn) -> None:
    page = sign_in(roles.MARKETING)
    page.get_by_role("button", name="Light or dark").click()
    page.goto(page.url + "sends/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_phone_opens_the_menu_from_a_bar(house: House, sign_in: SignIn) -> None:
    page = sign_in(roles.MARKETING)
    page.set_viewport_size({"width": 390, "height": 844})
    link = page.get_by_role("link", name="Templates")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Open the menu").click()
    link.click()
    expect(page.get_by_role("heading", name="Templates", exact=True)).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
