"""The harness itself: on what the tests run, and what it offers them."""

import json
import urllib.request

import pytest
from django.db import connection
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer


@pytest.mark.django_db
def test_the_tests_run_on_postgresql() -> None:
    assert connection.vendor == "postgresql"


@pytest.mark.django_db
def test_lower_and_ilike_know_letters_beyond_ascii() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select lower('ÄÖÉ'), 'straÉe' ilike 'STRAéE'")
        assert cursor.fetchone() == ("äöé", True)


def test_the_simulator_answers(simulator: str) -> None:
    with urllib.request.urlopen(f"{simulator}/healthz", timeout=10) as answer:
        assert json.load(answer) == {"status": "ok"}


@pytest.mark.django_db(transaction=True)
def test_the_browser_sees_the_live_system(live_server: LiveServer, page: Page) -> None:
    page.goto(f"{live_server.url}/health/ready")
    assert json.loads(page.inner_text("body")) == {"ready": True}
