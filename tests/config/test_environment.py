"""Settings are read by type, and a wrong value is a sentence that names it."""

import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment
from config.environment import Reader, keep_secrets, read_private, running_file, secrets_file

KEY = "bmV2ZXItc3RhcnRlZC0wMTIzNDU2Nzg5MDEyMzQ1Njc="


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that nobody has started, in an environment that says nothing."""
    for name in ("VAR", "DATABASE_URL", "SECRET_KEY", "PUBLIC_ID_KEY", "CREDENTIAL_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def reader(**values: str) -> Reader:
    made = Reader()
    made.ENVIRON = values
    return made


def test_a_fresh_clone_has_all_it_needs(base: Path) -> None:
    fresh = Reader.for_clone(base)
    assert len(fresh.secret("SECRET_KEY")) >= 32
    assert fresh.fernet_keys("CREDENTIAL_KEYS")
    assert fresh.postgres("DATABASE_URL")["NAME"] == "tapback"


@pytest.mark.parametrize("name", ["SECRET_KEY", "PUBLIC_ID_KEY", "CREDENTIAL_KEYS"])
def test_a_database_of_your_own_demands_secrets_of_your_own(name: str) -> None:
    ours = reader(DATABASE_URL="postgres://db/tapback")
    read = ours.fernet_keys if name == "CREDENTIAL_KEYS" else ours.secret
    with pytest.raises(ImproperlyConfigured, match=f"{name} must be set when DATABASE_URL is"):
        read(name)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is too short"):
        reader(SECRET_KEY="hunter2").secret("SECRET_KEY")


def test_the_complaint_about_a_credential_key_says_which_and_does_not_show_it() -> None:
    with pytest.raises(ImproperlyConfigured, match="key 2 is not a Fernet key") as complaint:
        reader(CREDENTIAL_KEYS=f"{KEY},wrong-key").fernet_keys("CREDENTIAL_KEYS")
    assert "wrong-key" not in str(complaint.value)


@pytest.mark.parametrize("value", ["tapback.example.org", "ftp://a", "https://a/path", "https://"])
def test_an_address_must_be_one(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="PUBLIC_URL must look like https://"):
        reader(PUBLIC_URL=value).address("PUBLIC_URL", default="http://a")


def test_a_word_must_be_one_of_the_known() -> None:
    with pytest.raises(ImproperlyConfigured, match="OPT_OUT_SCOPE must be one of: all, one"):
        reader(OPT_OUT_SCOPE="some").choice("OPT_OUT_SCOPE", among=("all", "one"), default="all")


def test_only_postgresql_will_do() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must be a PostgreSQL address"):
        reader(DATABASE_URL="sqlite:///db").postgres("DATABASE_URL")


def test_secrets_are_made_once_and_for_us_alone(base: Path) -> None:
    keep_secrets(base)
    first = read_private(secrets_file(base))
    keep_secrets(base)
    assert read_private(secrets_file(base)) == first
    assert stat.S_IMODE(secrets_file(base).stat().st_mode) == 0o600
    assert Reader.for_clone(base).secret("SECRET_KEY") == first["SECRET_KEY"]


def test_a_command_beside_a_running_system_finds_its_database(base: Path) -> None:
    running_file(base).parent.mkdir(parents=True)
    environment.write_private(running_file(base), {"DATABASE_URL": "postgres://a@//s/kept"})
    keep_secrets(base)
    assert Reader.for_clone(base).postgres("DATABASE_URL")["NAME"] == "kept"


def test_a_database_that_was_named_beats_the_running_system(base: Path, monkeypatch) -> None:
    running_file(base).parent.mkdir(parents=True)
    running = {"DATABASE_URL": "postgres://a@//s/kept", "CELERY_BROKER_URL": "redis://kept"}
    environment.write_private(running_file(base), running)
    monkeypatch.setenv("DATABASE_URL", "postgres://db/named")
    monkeypatch.delenv("CELERY_BROKER_URL")
    named = Reader.for_clone(base)
    assert named.postgres("DATABASE_URL")["NAME"] == "named"
    assert named.str("CELERY_BROKER_URL", default="none") == "none"


def test_a_folder_that_cannot_be_used_is_said(base: Path, monkeypatch) -> None:
    (base / "file").touch()
    monkeypatch.setenv("VAR", str(base / "file" / "var"))
    with pytest.raises(ImproperlyConfigured, match=r"can't be used .*Choose another with VAR="):
        keep_secrets(base)
