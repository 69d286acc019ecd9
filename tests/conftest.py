"""The throw-away PostgreSQL that every test run starts, and what many tests lean on."""

import pytest

from config import embedded
from tests.settings import FOLDER, PLACE

_SERVER = pytest.StashKey[embedded.Server]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the server in the controller; the processes of pytest-xdist share it."""
    if PLACE is not None:
        config.stash[_SERVER] = embedded.start_postgres(
            FOLDER / "postgres", PLACE, log=FOLDER / "postgres.log", throw_away=True
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    server = config.stash.get(_SERVER, None)
    if server is not None:
        server.stop()
    if PLACE is not None:
        PLACE.remove()
