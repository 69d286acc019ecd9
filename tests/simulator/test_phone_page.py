"""The phone's page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.simulator.conftest import CAPABLE, OTHER, Running

BLUE = {"route": "imessage", "address": "denver@example.com"}
GREEN = {"route": "sms", "address": "+13035550100"}


class Phone:
    """One person's phone, and the line that texts it."""

    def __init__(self, page: Page, running: Running) -> None:
        self.page = page
        self.running = running
        self._sent = 0
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, number: str, line: dict[str, str]) -> None:
        query = urlencode({"person": number, "line": f"{line['route']}:{line['address']}"})
        self.page.goto(f"{self.running.url}/?{query}")

    def texted(self, line: dict[str, str], to: str, body: str, **more: object) -> dict:
        self._sent += 1
        message = {"reference": str(self._sent), "line": line, "to": to, "body": body, **more}
        answer = self.running.call("POST", "/messages", json=message)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def wrote(self, number: str) -> list[str]:
        person = self.running.call("GET", "/phone/person", params={"number": number}).json()
        messages = [message for thread in person["threads"] for message in thread["messages"]]
        return [message["body"] for message in messages if message["direction"] == "in"]


@pytest.fixture
def phone(page: Page, running: Running) -> Iterator[Phone]:
    expect.set_options(timeout=20_000)
    phone = Phone(page, running)
    yield phone
    assert phone.complaints == []
    expect.set_options(timeout=5_000)


def test_imessages_are_blue_and_texts_are_green(phone: Phone) -> None:
    phone.texted(BLUE, CAPABLE, "By iMessage")
    phone.texted(GREEN, CAPABLE, "By SMS")
    colours = {}
    for line, body in ((BLUE, "By iMessage"), (GREEN, "By SMS")):
        phone.open(CAPABLE, line)
        bubble = phone.page.locator(".bubble", has_text=body)
        expect(bubble).to_be_visible()
        expect(phone.page.locator(".stamp")).to_contain_text(body.removeprefix("By "))
        colours[line["route"]] = bubble.evaluate("node => getComputedStyle(node).backgroundImage")
    assert "rgb(11, 124, 255)" in colours["imessage"]
    assert "rgb(43, 178, 76)" in colours["sms"]


def test_a_message_appears_by_itself_and_is_read(phone: Phone) -> None:
    phone.texted(BLUE, CAPABLE, "First")
    phone.open(CAPABLE, BLUE)
    expect(phone.page.locator(".bubble")).to_have_count(1)

    phone.texted(BLUE, CAPABLE, "Second")

    expect(phone.page.locator(".bubble")).to_have_count(2)
    phone.page.wait_for_function(
        """async () => {
            const answer = await fetch("/control/record");
            const { messages } = await answer.json();
            return messages.every((message) => message.status === "read");
        }"""
    )


def test_a_person_answers_and_stops(phone: Phone) -> None:
    phone.texted(GREEN, OTHER, "Reply STOP to opt out")
    phone.open(OTHER, GREEN)
    phone.page.get_by_label("Your answer").fill("Who is this?")
    phone.page.keyboard.press("Enter")
    expect(phone.page.locator(".mine .bubble")).to_have_text(["Who is this?"])

    phone.page.get_by_role("button", name="STOP", exact=True).click()

    expect(phone.page.locator(".mine .bubble")).to_have_text(["Who is this?", "STOP"])
    assert phone.wrote(OTHER) == ["Who is this?", "STOP"]


def test_a_tapback_is_drawn_on_the_bubble_and_can_be_taken_away(phone: Phone) -> None:
    phone.texted(BLUE, CAPABLE, "Doors open at 7")
    phone.open(CAPABLE, BLUE)
    for count in (1, 0):
        phone.page.locator(".theirs .bubble").dblclick()
        phone.page.get_by_role("menuitemradio", name="Love").click()
        expect(phone.page.locator(".theirs .badge.ours")).to_have_count(count)


def test_the_other_sides_typing_and_tapback_are_shown(phone: Phone) -> None:
    phone.texted(BLUE, CAPABLE, "Hello")
    phone.open(CAPABLE, BLUE)
    phone.page.get_by_label("Your answer").fill("Hi")
    phone.page.keyboard.press("Enter")
    expect(phone.page.locator(".mine .bubble")).to_have_count(1)
    message_id = phone.page.locator(".mine").get_attribute("data-message")
    tapback = {"line": BLUE, "to": CAPABLE, "kind": "like", "remove": False}
    phone.running.call("POST", f"/messages/{message_id}/tapbacks", json=tapback)
    phone.running.call("POST", "/typing", json={"line": BLUE, "to": CAPABLE, "typing": True})

    expect(phone.page.locator(".typing")).to_be_visible()
    expect(phone.page.locator(".mine .badge")).to_have_count(1)


def test_a_person_starts_a_conversation_with_a_line(phone: Phone) -> None:
    phone.running.call("PUT", "/lines/denver@example.com", json={**BLUE, "label": "Denver"})
    phone.page.goto(f"{phone.running.url}/?{urlencode({'person': CAPABLE})}")
    phone.page.get_by_role("button", name="Denver").click()
    phone.page.get_by_label("Your answer").fill("Count me in")
    phone.page.get_by_role("button", name="Send", exact=True).click()
    expect(phone.page.locator(".mine .bubble.imessage")).to_have_text("Count me in")
    assert phone.wrote(CAPABLE) == ["Count me in"]


def test_a_person_without_imessage_is_offered_no_blue_line(phone: Phone) -> None:
    phone.running.call("PUT", "/lines/denver@example.com", json=BLUE)
    phone.running.call("PUT", "/lines/+13035550100", json={**GREEN, "label": "Denver by SMS"})
    phone.page.goto(f"{phone.running.url}/?{urlencode({'person': OTHER})}")
    expect(phone.page.locator("#threads .name")).to_have_text(["Denver by SMS"])


def test_text_that_looks_like_a_page_is_text(phone: Phone) -> None:
    body = "<img src=x onerror=\"document.title='caught'\"> & <b>bold</b>"
    phone.texted(GREEN, OTHER, body)
    phone.open(OTHER, GREEN)
    expect(phone.page.locator(".bubble")).to_have_text(body)
    expect(phone.page.locator("#people .preview").first).to_have_text(body)
    assert "caught" not in phone.page.title()


def test_the_list_finds_a_person_and_opens_the_phone(phone: Phone) -> None:
    people = [
        {"number": CAPABLE, "name": "Ada Lovelace"},
        {"number": OTHER, "name": "Grace Hopper"},
    ]
    phone.running.call("POST", "/control/people", json={"people": people})
    phone.page.goto(phone.running.url)
    phone.page.get_by_label("Search by name or number").fill("grace")
    expect(phone.page.locator("#people .row")).to_have_count(1)
    phone.page.locator("#people .row").click()
    expect(phone.page.locator("#owner-name")).to_have_text("Grace Hopper")
    assert "person=%2B13035550103" in phone.page.url


def test_on_a_narrow_screen_the_phone_is_the_whole_page(phone: Phone) -> None:
    phone.texted(GREEN, OTHER, "Hello")
    phone.page.set_viewport_size({"width": 390, "height": 844})
    phone.open(OTHER, GREEN)
    expect(phone.page.locator(".bubble")).to_be_visible()
    expect(phone.page.locator(".people")).to_be_hidden()
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
