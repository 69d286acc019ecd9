"""A model field that is encrypted at rest (MultiFernet: the first key writes, all keys read)."""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


def _cipher() -> MultiFernet:
    if not settings.CREDENTIAL_KEYS:
        raise ImproperlyConfigured("CREDENTIAL_KEYS must hold at least one Fernet key.")
    return MultiFernet([Fernet(key) for key in settings.CREDENTIAL_KEYS])


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]  # no generics at run time
    """A JSON value, stored as a Fernet token. It can't be searched or ordered by."""

    def from_db_value(self, value: str | None, *_: object) -> Any:
        if value is None:
            return None
        if not value:
            return {}
        try:
            return json.loads(_cipher().decrypt(value.encode()))
        except InvalidToken:
            raise ImproperlyConfigured(
                "Stored credentials can't be read: their key is not in CREDENTIAL_KEYS."
            ) from None

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        return _cipher().encrypt(json.dumps(value).encode()).decode()
