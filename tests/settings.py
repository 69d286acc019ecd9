"""The settings of the tests: a throw-away PostgreSQL, no broker, and nothing of the developer's."""

import atexit
import os
from pathlib import Path

from config import embedded

# Only the controller of a run has a place; the processes that it starts inherit the folder's name.
PLACE: embedded.Place | None = None
if "TAPBACK_TEST_FOLDER" not in os.environ:
    PLACE = embedded.prepare_place()
    atexit.register(PLACE.remove)
    os.environ["TAPBACK_TEST_FOLDER"] = str(PLACE.sockets)
FOLDER = Path(os.environ["TAPBACK_TEST_FOLDER"])

os.environ.update(
    {
        "VAR": f"{FOLDER}/var",
        "DATABASE_URL": f"postgres://tapback@/{FOLDER}/tapback",
        "CELERY_BROKER_URL": "memory://",
        "SECRET_KEY": "only-for-tests-" + "x" * 40,
        "PUBLIC_ID_KEY": "only-for-tests-" + "y" * 40,
        "CREDENTIAL_KEYS": "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OTAxMjM0NTY=",
        "PUBLIC_URL": "http://testserver",
        "DEBUG": "false",
        # The threads of a live server would hold theirs past the end of the database.
        "CONN_MAX_AGE": "0",
        "LOG_LEVEL": "WARNING",
    }
)
for name in ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "OPT_OUT_SCOPE"):
    os.environ.pop(name, None)

from config.settings import *  # noqa: E402, F403

ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
# No sign-in is slowed down on purpose, and no test waits for collected files.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT = BASE_DIR / "static"  # noqa: F405
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
