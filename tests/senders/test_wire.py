"""The one path to a gateway."""

import ast
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import responses
from django.conf import settings
from django.db import connection

from senders import wire
from senders.gateways.contract import HttpCall, HttpReply
from senders.gateways.errors import CredentialsRefused, GatewayUnavailable, NotSupported
from senders.gateways.simulator.adapter import Simulator
from senders.models import Gateway

APPS = ("api", "config", "console", "messaging", "subscribers", "webhooks", "senders")


def test_an_adapter_gets_the_account_of_its_gateway(gateway: Gateway) -> None:
    adapter = wire.adapter_of(Gateway.objects.get(pk=gateway.pk))

    assert isinstance(adapter, Simulator)
    assert adapter.config.base_url == "http://127.0.0.1:8001"
    assert adapter.config.credentials["api_key"] == "key-of-the-account"
    assert adapter.config.callback_url == gateway.callback_url


def test_the_credentials_are_encrypted_where_they_are_stored(gateway: Gateway) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select credentials from senders_gateway")
        (stored,) = cursor.fetchone()

    assert len(stored) > 100
    assert "key-of-the-account" not in stored


def test_a_carrier_that_this_version_does_not_have_is_said_to_be_missing() -> None:
    with pytest.raises(NotSupported, match="no carrier called pigeon"):
        wire.adapter_of(Gateway(kind="pigeon"))


def asking(url: str) -> Generator[HttpCall, HttpReply, int]:
    reply = yield HttpCall("GET", url)
    if reply.status == 401:
        raise CredentialsRefused("401")
    return reply.status


@responses.activate
def test_asking_returns_what_the_adapter_makes_of_the_answer() -> None:
    responses.get("https://carrier.example/account", status=204)

    assert wire.ask(Gateway(pk=1), asking("https://carrier.example/account")) == 204


@responses.activate
def test_asking_raises_the_adapters_error_and_logs_it_without_secrets(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    responses.get("https://carrier.example/account", status=401)

    with caplog.at_level("WARNING", logger="senders.wire"), pytest.raises(CredentialsRefused):
        wire.ask(gateway, asking("https://carrier.example/account"))

    (record,) = caplog.records
    assert record.__dict__["code"] == "credentials_refused"
    assert record.__dict__["gateway"] == gateway.pk
    assert not any(
        secret in str(record.__dict__) for secret in ("key-of-the-account", "secret-of-callbacks")
    )


def test_a_carrier_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(GatewayUnavailable):
        wire.ask(Gateway(pk=1), asking("http://127.0.0.1:1/"))


def test_a_thread_keeps_its_runner() -> None:
    assert wire.send_runner() is wire.send_runner()


# Exactly one path leads to a gateway.


def sources() -> Iterator[tuple[str, ast.Module]]:
    root = Path(settings.BASE_DIR)
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            yield str(path.relative_to(root)), ast.parse(path.read_text())


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def importers_of(*modules: str) -> set[str]:
    return {
        path
        for path, tree in sources()
        if any(
            name == module or name.startswith(module + ".")
            for name in imported(tree)
            for module in modules
        )
    }


def called(call: ast.Call) -> str:
    """The name that is called; of ``ADAPTERS[kind](…)``, the table's."""
    function = call.func
    while isinstance(function, ast.Subscript):
        function = function.value
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def callers_of(verb: str) -> set[str]:
    """The files that call ``verb(…)`` or ``something.verb(…)`` and know of senders."""
    return {
        path
        for path, tree in sources()
        if any(isinstance(node, ast.Call) and called(node) == verb for node in ast.walk(tree))
        and any(name.startswith("senders.") for name in imported(tree))
    }


def test_only_the_wire_makes_the_calls_of_adapters() -> None:
    assert importers_of("senders.gateways.runner") == {"senders/wire.py"}
    assert callers_of("run_one") | callers_of("Runner") == {"senders/wire.py"}


def test_only_the_wire_makes_adapters() -> None:
    # Others may look at the kinds and their credential fields.
    made = callers_of("adapter") | callers_of("ADAPTERS") | callers_of("Simulator")
    assert made == {"senders/wire.py"}


def test_nothing_beside_the_runner_speaks_http() -> None:
    outside = importers_of("requests", "pycurl", "urllib3", "http.client", "urllib.request")

    assert {path for path in outside if path.split("/")[0] not in ("config", "webhooks")} == {
        "senders/gateways/runner.py"
    }


def test_only_the_dispatch_sends() -> None:
    # In the contract itself, a generator is sent its reply.
    assert callers_of("send") - {"senders/gateways/runner.py"} <= {"messaging/dispatch.py"}
