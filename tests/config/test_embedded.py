"""The embedded servers: where they live, and that nothing is lost by a hard end."""

import os
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from config import embedded
from config.embedded import Place
from config.processes import StartError


@pytest.fixture
def place(tmp_path: Path):
    place = embedded.prepare_place(tmp_path / "run")
    yield place
    place.remove()


def connected(place: Place) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(host=str(place.sockets), user="tapback", dbname="tapback")


def test_the_database_survives_a_hard_end(place: Place, tmp_path: Path) -> None:
    data, log = tmp_path / "var" / "postgres", tmp_path / "postgres.log"
    first = embedded.start_postgres(data, place, log=log)
    with connected(place) as connection:
        connection.execute("create table kept as select 7 as seven")
    first.process.kill()
    first.process.wait()
    second = embedded.start_postgres(data, place, log=log)
    try:
        with connected(place) as connection:
            assert connection.execute("select seven from kept").fetchone() == (7,)
    finally:
        second.stop()
    assert second.process.returncode == 0


def test_the_broker_keeps_what_it_was_given(place: Place, tmp_path: Path) -> None:
    data, log = tmp_path / "valkey", tmp_path / "valkey.log"
    first = embedded.start_valkey(data, place, log=log)
    with redis.Redis(unix_socket_path=str(place.sockets / "valkey.sock")) as client:
        client.lpush("queue", "task")
    first.stop()
    second = embedded.start_valkey(data, place, log=log)
    try:
        with redis.Redis(unix_socket_path=str(place.sockets / "valkey.sock")) as client:
            assert client.lrange("queue", 0, -1) == [b"task"]
    finally:
        second.stop()


def test_a_database_half_made_is_made_anew(place: Place, tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server = embedded.start_postgres(tmp_path / "postgres", place, log=tmp_path / "log")
    server.stop()
    assert not unfinished.exists()
    assert (tmp_path / "postgres" / "base").exists()


def test_a_server_that_cannot_start_points_to_its_log(place: Place, tmp_path: Path) -> None:
    data, log = tmp_path / "postgres", tmp_path / "postgres.log"
    embedded.start_postgres(data, place, log=log).stop()
    (data / "PG_VERSION").write_text("3\n")
    with pytest.raises(StartError, match=r"PostgreSQL did not start\. .*postgres\.log says why\."):
        embedded.start_postgres(data, place, log=log)


def test_only_its_account_may_reach_the_sockets(place: Place) -> None:
    assert place.sockets.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("folder", ["x" * 90, "with blank", "with,comma"])
def test_sockets_go_elsewhere_when_their_folder_cannot_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr("config.embedded._unprivileged_account", lambda data: None)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        assert not embedded.prepare_place(Path(short)).temporary
    place = embedded.prepare_place(tmp_path / folder)
    try:
        assert place.temporary
        assert len(str(place.sockets)) < 80
    finally:
        place.remove()
    assert not place.sockets.exists()


def test_nothing_but_our_own_temporary_folder_is_removed(tmp_path: Path) -> None:
    embedded.remove_left_place(tmp_path)
    assert tmp_path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up its rights")
def test_as_root_the_database_runs_as_somebody_else(place: Place, tmp_path: Path) -> None:
    server = embedded.start_postgres(tmp_path / "postgres", place, log=tmp_path / "log")
    try:
        assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
    finally:
        server.stop()
    assert server.process.returncode == 0
