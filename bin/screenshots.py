"""Pictures for the README: a send from compose to its answer, as the demo data tells it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1280, 860
TEXT = "Hi {{ first_name }}, our doors open on Saturday at 10. Shall I keep a seat for you?"


class Studio:
    """A running copy, seen through a browser of a marketing colleague."""

    def __init__(self, browser: Browser, demo: dict[str, Any]) -> None:
        self.demo = demo
        self.browser = browser
        self.page = self._sign_in(color_scheme="light")

    def _sign_in(self, **look: Any) -> Page:
        context = self.browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5, **look
        )
        page = context.new_page()
        name, password = next(user[:2] for user in self.demo["users"] if user[2] == "Marketing")
        page.goto(f"{self.demo['url']}/login/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Dashboard").wait_for()
        return page

    def open(self, path: str) -> None:
        self.page.goto(self.demo["url"] + path)

    def shoot(self, name: str) -> None:
        self.page.mouse.move(0, 0)
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def person(self, **what: Any) -> None:
        """What somebody does on their simulated phone."""
        line = {"route": "imessage", "address": self.demo["sender_name"]}
        content = {"from": self.demo["numbers"]["capable_opted_in"], "line": line, **what}
        address = f"{self.demo['simulator_url']}/phone/act"
        request = urllib.request.Request(address, json.dumps(content).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    # The story ----------------------------------------------------------------------------------

    def compose(self) -> None:
        page = self.page
        self.open("/compose/")
        page.get_by_label(self.demo["group"]).first.check()
        page.get_by_label("Numbers", exact=True).evaluate(
            "(field, number) => { field.value = number; }",
            self.demo["numbers"]["capable_opted_in"],
        )
        page.get_by_label("Text", exact=True).fill(TEXT)
        page.get_by_label("Name (optional").fill("Spring open house, invitation")
        page.locator("[data-forecast=imessage]").wait_for()
        page.wait_for_timeout(800)
        page.set_viewport_size({"width": WIDTH, "height": 1180})
        page.evaluate("scrollTo(0, 0)")
        self.shoot("compose")
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def send(self) -> None:
        page = self.page
        page.get_by_role("button", name="Review before sending").click()
        page.get_by_role("button", name="Send to").click()
        page.get_by_role("heading", name="Everything has been handed over").wait_for()
        # The simulated carrier takes its time to report what was delivered.
        page.locator(".tile", has_text="100 %").wait_for(timeout=120_000)
        self.shoot("send")

    def talk(self) -> None:
        page = self.page
        self.person(kind="message", body="Yes please! And one for my sister?")
        self.open("/conversations/")
        page.locator(".threads .item", has_text="sister").first.click()
        page.get_by_label("Answer").fill("Of course, two seats are yours. See you on Saturday!")
        page.get_by_label("Answer").press("Enter")
        page.locator(".said.ours", has_text="two seats").wait_for()
        page.wait_for_timeout(2_500)
        self.person(kind="message", body="Perfect, thank you!")
        theirs = page.locator(".said:not(.ours)", has_text="Perfect").last
        theirs.hover()
        theirs.get_by_label("Tapback").click()
        theirs.get_by_label("Loved").click()
        page.get_by_label("Loved by you").last.wait_for()
        self.person(kind="typing", typing=True)
        page.locator("#typing").wait_for()
        page.evaluate("document.activeElement.blur()")
        self.shoot("conversation")

    def audit(self) -> None:
        self.open("/fallbacks/")
        self.page.locator("[data-opens]").first.click()
        self.page.locator(".story .chain").first.wait_for()
        self.shoot("fallbacks")
        self.open("/")
        self.shoot("dashboard")

    def phone(self) -> None:
        where = {
            "person": self.demo["numbers"]["capable_opted_in"],
            "line": f"imessage:{self.demo['sender_name']}",
        }
        self.page.goto(f"{self.demo['simulator_url']}/?{urllib.parse.urlencode(where)}")
        self.page.get_by_text("Perfect, thank you!").last.wait_for()
        self.shoot("phone")

    def dark(self) -> None:
        self.page = self._sign_in(color_scheme="dark")
        self.open("/conversations/")
        self.page.locator(".threads .item", has_text="Perfect").first.click()
        self.page.get_by_label("Answer").wait_for()
        self.shoot("conversation-dark")


def main() -> int:
    var = Path(os.environ.get("VAR") or ROOT / "var")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        print("No chromium on this machine. On Debian: apt install chromium", file=sys.stderr)
        return 1
    try:
        demo = json.loads((var / "demo.json").read_text())
    except OSError:
        print(f"Nothing runs in {var}: start bin/run first.", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        studio = Studio(browser, demo)
        scenes: list[Callable[[], None]] = [
            studio.compose,
            studio.send,
            studio.talk,
            studio.audit,
            studio.phone,
            studio.dark,
        ]
        for scene in scenes:
            scene()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
