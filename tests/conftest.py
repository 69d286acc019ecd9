"""The throw-away PostgreSQL that every test run starts, and what many tests lean on."""

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

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


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let transactional tests, which end by emptying all tables, empty the consent ledger too.

    Only here: its trigger stays as it is in every other database, and its own test enables it.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "alter table subscribers_consentevent disable trigger consent_refuse_truncate"
        )
