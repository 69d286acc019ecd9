"""What `manage.py up` says when it can't start, and what it remembers. Nothing is started here."""

import json
import socket
from pathlib import Path

import pytest

from config import system
from config.processes import StartError
from config.system import System


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A system on a free port in a folder of its own, with nothing said by the environment."""
    monkeypatch.setenv("VAR", str(tmp_path / "var"))
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("CELERY_BROKER_URL")
    made = System(port=system._any_free_port(), demo=True, say=lambda line: None)
    made._make_folders()
    return made


@pytest.fixture
def busy_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_said_with_another_to_try(up: System, busy_port: int) -> None:
    up.port = busy_port
    with pytest.raises(StartError, match=rf"Port {busy_port} is taken .*PORT=\d+ bin/run"):
        up.run()


@pytest.mark.parametrize("port", [0, 80, 65535, 99999])
def test_a_port_that_cannot_be_ours_is_said(up: System, port: int) -> None:
    up.port = port
    with pytest.raises(StartError, match="PORT must be a number from 1024 to 65534"):
        up.run()


def test_a_second_start_in_the_same_folder_is_refused(up: System) -> None:
    second = System(port=up.port, demo=True, say=lambda line: None)
    with up._alone(), pytest.raises(StartError, match="Tapback already runs in"):
        second.run()


@pytest.mark.parametrize("alone", ["DATABASE_URL", "CELERY_BROKER_URL"])
def test_a_database_without_a_broker_or_the_other_way_round_is_refused(
    up: System, monkeypatch: pytest.MonkeyPatch, alone: str
) -> None:
    monkeypatch.setenv(alone, "x://y")
    with pytest.raises(StartError, match=f"{alone} is set alone"):
        up.run()


def test_with_both_addresses_nothing_embedded_starts(up: System, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db/tapback")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://broker")
    monkeypatch.setattr("config.embedded.prepare_place", lambda *_, **__: pytest.fail("embedded"))
    with up._database_and_broker():
        assert up.env["DATABASE_URL"] == "postgres://db/tapback"
        assert not (up.run_folder / "env").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAR", str(tmp_path / "file" / "var"))
    with pytest.raises(StartError, match=r"can't be written .*Choose another with VAR="):
        System(port=1, demo=False, say=lambda line: None).run()


def test_the_simulator_keeps_its_port_when_the_web_moves(up: System) -> None:
    first = up._simulator_port()
    up.port += 100
    assert up._simulator_port() == first


def test_the_simulator_takes_another_port_when_its_own_is_taken(up: System, busy_port: int) -> None:
    (up.var / "simulator-port").write_text(str(busy_port))
    assert up._simulator_port() != busy_port
    assert int((up.var / "simulator-port").read_text()) != busy_port


def test_the_logs_of_the_run_before_are_kept_and_its_temporary_files_are_not(up: System) -> None:
    (up.run_folder / "tmp").mkdir()
    (up.run_folder / "tmp/half").touch()
    up._log("web").write_text("before")
    up._clear_up()
    assert not up._log("web").exists()
    assert list((up.run_folder / "tmp").iterdir()) == []
    assert (up.var / "logs/web.log.before").read_text() == "before"


def test_the_greeting_is_one_ready_line_then_what_a_newcomer_needs(up: System) -> None:
    said: list[str] = []
    up.say = said.append
    demo = {
        "users": [["marketing", "a-password", "Marketing"]],
        "token": "a-token",
        "simulator_url": "http://127.0.0.1:8001",
    }
    (up.var / "demo.json").write_text(json.dumps(demo))
    up._announce()
    assert said == [
        f"ready: http://127.0.0.1:{up.port}/",
        "  sign in as marketing with a-password  (Marketing)",
        "  API token: a-token",
        "  simulated phone: http://127.0.0.1:8001/",
    ]
