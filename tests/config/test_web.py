"""What every answer of the web has in common."""

import logging

import pytest
from django.db import OperationalError, connection
from django.test import Client

from config import celery_app
from config.middleware import RequestLog


@pytest.mark.django_db
def test_ready_says_so_when_the_database_answers(client: Client) -> None:
    assert client.get("/health/ready").json() == {"ready": True}


@pytest.mark.django_db
def test_ready_is_503_without_details_when_it_does_not(client: Client, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("password authentication failed for tapback")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reason": "database"})


def test_live_needs_no_database(client: Client) -> None:
    assert client.get("/health/live").json() == {"live": True}


def test_pages_allow_no_inline_script(client: Client) -> None:
    policy = client.get("/health/live")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_the_admin_alone_may_evaluate_its_attributes(client: Client) -> None:
    policy = client.get("/admin/login/")["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy


def test_the_request_log_leaves_out_queries_and_masks_numbers(rf) -> None:
    request = rf.get("/subscribers/+13035550142/?search=Jane")
    assert RequestLog.format_request(request) == "GET /subscribers/…42/"


@pytest.mark.django_db
def test_ten_wrong_passwords_close_the_sign_in_for_a_while(
    client: Client, django_user_model, settings
) -> None:
    settings.AXES_ENABLED = True
    django_user_model.objects.create_user("ana", password="right", is_staff=True)
    form = {"username": "ana", "password": "wrong"}
    with_right = {**form, "password": "right"}
    logging.getLogger("axes").setLevel(logging.ERROR)
    for _ in range(10):
        client.post(settings.LOGIN_URL, form)
    client.post(settings.LOGIN_URL, with_right)
    assert "_auth_user_id" not in client.session


def test_a_task_that_no_broker_takes_is_no_error() -> None:
    @celery_app.task(name="tests.hint", shared=False)
    def hint() -> None: ...

    with celery_app.connection_for_write("redis+socket:///nowhere/valkey.sock") as away:
        assert hint.apply_async(connection=away) is None
