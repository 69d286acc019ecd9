"""Reading settings from the environment, and saying plainly what is wrong with a value."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

# What a fresh clone runs with until it is told otherwise; refused together with a DATABASE_URL.
_LAPTOP: Mapping[str, str] = {
    "SECRET_KEY": "django-insecure-only-for-a-laptop-" + "x" * 30,
    "PUBLIC_ID_KEY": "only-for-a-laptop-" + "x" * 30,
    "CREDENTIAL_KEYS": "b25seS1mb3ItYS1sYXB0b3AtMDEyMzQ1Njc4OTAxMjM=",
}


def var_folder(base: Path) -> Path:
    """The folder of the embedded servers' data, logs and secrets: ``VAR``, or ``var`` in ours."""
    return Path(os.environ.get("VAR") or base / "var").expanduser().absolute()


def running_file(base: Path) -> Path:
    """Where `manage.py up` keeps the environment of its children while it runs."""
    return var_folder(base) / "run" / "env"


class Reader(environ.Env):  # type: ignore[misc]  # the package has no types
    """Typed readers over the environment.

    With no DATABASE_URL of its own a process reads the one that a running `manage.py up` left in
    its folder, so that any command beside it finds the same database and secrets.
    """

    @classmethod
    def for_clone(cls, base: Path) -> "Reader":
        reader = cls()
        reader.ENVIRON = dict(os.environ)
        running = running_file(base)
        if "DATABASE_URL" not in os.environ and os.access(running, os.R_OK):
            lines = running.read_text().splitlines()
            reader.ENVIRON = dict(line.split("=", 1) for line in lines) | reader.ENVIRON
        return reader

    def secret(self, name: str) -> str:
        """A secret of at least 32 characters."""
        value = self.str(name, default="")
        if not value:
            return self._laptop(name)
        if len(value) < 32:
            raise ImproperlyConfigured(f"{name} is too short: use 50 random characters or more.")
        return str(value)

    def fernet_keys(self, name: str) -> list[str]:
        """Fernet keys, comma-separated, the newest first."""
        keys = [str(key).strip() for key in self.list(name, default=[])] or [self._laptop(name)]
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

    def _laptop(self, name: str) -> str:
        if self.str("DATABASE_URL", default=""):
            raise ImproperlyConfigured(
                f"{name} must be set when DATABASE_URL is. docs/running.md says how to make one."
            )
        return _LAPTOP[name]
