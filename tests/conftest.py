"""The throw-away PostgreSQL that every test run starts, and what tests of whole parts lean on."""

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from playwright.sync_api import Browser, Page, sync_playwright

from config import embedded
from tests.settings import FOLDER, PLACE

_SERVER = pytest.StashKey[embedded.Server]()
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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
def django_db_keepdb() -> bool:
    """Nothing is dropped at the end: the whole server is thrown away."""
    return True


@pytest.fixture(scope="session", autouse=True)
def _emptying_tables_passes_the_ledger() -> Iterator[None]:
    """Tests that commit are followed by emptying all tables, which the consent ledger refuses."""
    empty = DatabaseOperations.execute_sql_flush

    def empty_past_triggers(operations: DatabaseOperations, statements: list[str]) -> None:
        empty(operations, ["set local session_replication_role = replica", *statements])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", empty_past_triggers)
        yield


@pytest.fixture(scope="session")
def _simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("simulator") / "simulator.sqlite3"
    command = [sys.executable, "-m", "simulator", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("simulator: ").strip().rstrip("/")
        process.terminate()


@pytest.fixture
def simulator(_simulator_process: str) -> str:
    """The address of a simulated carrier in a process of its own, as good as new."""
    reset = urllib.request.Request(f"{_simulator_process}/control/reset", b"{}", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()
    return _simulator_process


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless chromium; tests that ask for it are skipped where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("no chromium on this machine (on Debian: apt install chromium)")
    # Playwright keeps an event loop in this thread, which makes Django refuse the database here.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, headless=True, args=_BROWSER_FLAGS
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a window of its own: no cookie of another test."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
