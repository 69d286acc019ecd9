"""Reading settings from the environment, and saying plainly what is wrong with a value."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

# What a command runs with on a clone that was never started; refused together with a DATABASE_URL.
_NEVER_STARTED: Mapping[str, str] = {
    "SECRET_KEY": "django-insecure-never-started-" + "x" * 30,
    "PUBLIC_ID_KEY": "never-started-" + "x" * 30,
    "CREDENTIAL_KEYS": "bmV2ZXItc3RhcnRlZC0wMTIzNDU2Nzg5MDEyMzQ1Njc=",
}


def var_folder(base: Path) -> Path:
    """The folder of the embedded servers' data, logs and secrets: ``VAR``, or ``var`` in ours."""
    return Path(os.environ.get("VAR") or base / "var").expanduser().absolute()


def running_file(base: Path) -> Path:
    """Where `manage.py up` says which database and broker it runs."""
    return var_folder(base) / "run" / "env"


def secrets_file(base: Path) -> Path:
    """Where `manage.py up` keeps the secrets that it made."""
    return var_folder(base) / "secrets.env"


def keep_secrets(base: Path) -> None:
    """Make the secrets of this installation, once: data written with them needs them for good."""
    path = secrets_file(base)
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, _new_secrets())
    except OSError as error:
        raise ImproperlyConfigured(
            f"The folder {path.parent} can't be used ({error.strerror}). "
            "Choose another with VAR=, or start as the user that it belongs to."
        ) from None


def _new_secrets() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PUBLIC_ID_KEY": secrets.token_urlsafe(48),
        "CREDENTIAL_KEYS": Fernet.generate_key().decode(),
    }


def write_private(path: Path, values: Mapping[str, str]) -> None:
    """Write names and values that only we may read; never half of them."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    unfinished.replace(path)


def read_private(path: Path) -> dict[str, str]:
    """What :func:`write_private` wrote; nothing if there is no such file or it is not ours."""
    if not os.access(path, os.R_OK):
        return {}
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


class Reader(environ.Env):  # type: ignore[misc]  # the package has no types
    """Typed readers over the environment.

    What the environment does not say is taken from the folder of `manage.py up`: the secrets that
    it made and, while it runs, its addresses. So any command beside it finds the same database.
    """

    @classmethod
    def for_clone(cls, base: Path) -> "Reader":
        reader = cls()
        kept = read_private(secrets_file(base))
        if "DATABASE_URL" not in os.environ:
            kept |= read_private(running_file(base))
        reader.ENVIRON = kept | dict(os.environ)
        return reader

    def secret(self, name: str) -> str:
        """A secret of at least 32 characters."""
        value = self.str(name, default="")
        if not value:
            return self._never_started(name)
        if len(value) < 32:
            raise ImproperlyConfigured(f"{name} is too short: use 50 random characters or more.")
        return str(value)

    def fernet_keys(self, name: str) -> list[str]:
        """Fernet keys, comma-separated, the newest first."""
        keys = [str(key).strip() for key in self.list(name, default=[])] or [
            self._never_started(name)
        ]
        for position, key in enumerate(keys, start=1):
            try:
                Fernet(key)
            except ValueError:
                raise ImproperlyConfigured(
                    f"{name}: key {position} is not a Fernet key (44 URL-safe base64 characters). "
                    "Make one with: python -c 'from cryptography.fernet import Fernet; "
                    "print(Fernet.generate_key().decode())'"
                ) from None
        return keys

    def address(self, name: str, *, default: str) -> str:
        """An http or https address without a path."""
        value = str(self.str(name, default=default)).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
            raise ImproperlyConfigured(
                f"{name} must look like https://tapback.example.org, without a path."
            )
        return value

    def choice(self, name: str, *, among: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        value = str(self.str(name, default=default))
        if value not in among:
            raise ImproperlyConfigured(f"{name} must be one of: {', '.join(among)}.")
        return value

    def postgres(self, name: str) -> dict[str, object]:
        """A PostgreSQL database by URL; on a laptop, one that `manage.py up` starts."""
        config = dict(self.db_url(name, default="postgres://tapback@/tapback"))
        if config.get("ENGINE") != "django.db.backends.postgresql":
            raise ImproperlyConfigured(
                f"{name} must be a PostgreSQL address, like postgres://user:password@host/name."
            )
        return config

    def _never_started(self, name: str) -> str:
        if self.str("DATABASE_URL", default=""):
            raise ImproperlyConfigured(
                f"{name} must be set when DATABASE_URL is. docs/running.md says how to make one."
            )
        return _NEVER_STARTED[name]
