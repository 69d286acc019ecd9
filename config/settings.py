"""Settings: one file, read from the environment, loud on nonsense, working on a fresh clone.

`docs/running.md` lists the variables. Carrier credentials are not here: they are encrypted rows
(``senders.Gateway``).
"""

import logging
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from config.environment import Reader
from config.logs import logging_config
from config.unfold import UNFOLD  # noqa: F401 (a setting)

BASE_DIR = Path(__file__).resolve().parent.parent
env = Reader.for_clone(BASE_DIR)

# --- Secrets and addresses -----------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.secret("SECRET_KEY")
PUBLIC_ID_KEY = env.secret("PUBLIC_ID_KEY")
CREDENTIAL_KEYS = env.fernet_keys("CREDENTIAL_KEYS")
PUBLIC_URL = env.address("PUBLIC_URL", default="http://127.0.0.1:8000")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname, "127.0.0.1", "localhost"]
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

# --- Parts ---------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    "csp",
    "django_htmx",
    "django_structlog",
    "rest_framework",
    "simple_history",
    "config",
    "senders",
    "subscribers",
    "messaging",
    "webhooks",
    "api",
    "console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.middleware.RequestLog",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",  # last, as it asks: it answers a sign-in that is locked out
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["config.formats"]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Database ------------------------------------------------------------------------------------

# A connection stays with its thread: web threads and worker processes are few and live long, so a
# pool would only add a lock. The health check replaces one that the server closed meanwhile.
DATABASES = {
    "default": env.postgres("DATABASE_URL")
    | {"CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=600), "CONN_HEALTH_CHECKS": True}
}

# --- Sign-in -------------------------------------------------------------------------------------

LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
# By name and address together: a stranger can't lock a colleague out from elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_VERBOSE = False
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_ENABLE_ADMIN = False

# --- Transport and browser -----------------------------------------------------------------------

ON_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = ON_HTTPS
CSRF_COOKIE_SECURE = ON_HTTPS
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=ON_HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^health/"]  # probes come from inside and speak plain HTTP
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if ON_HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = ON_HTTPS
SECURE_HSTS_PRELOAD = ON_HTTPS
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
# A browser keeps cookies per host, not per port: two copies on one machine need names of their own.
SESSION_COOKIE_NAME = f"tapback_session_{urlsplit(PUBLIC_URL).port or 'web'}"
CSRF_COOKIE_NAME = f"tapback_csrf_{urlsplit(PUBLIC_URL).port or 'web'}"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# What the admin theme needs (Alpine evaluates its attributes); for /admin/ and nowhere else.
ADMIN_CONTENT_SECURITY_POLICY = {
    "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
    "style-src": [SELF, UNSAFE_INLINE],
}

# --- Tasks ---------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "messaging.tasks.dispatch*": {"queue": "dispatch"},
    "webhooks.tasks.process_people": {"queue": "people"},
    "webhooks.tasks.process_reports": {"queue": "reports"},
}
# Each period's tick is worthless once the next is due: without this, a worker that was away would
# come back to a pile of them.
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": seconds, "options": {"expires": 2 * seconds}}
    for name, seconds in (
        ("messaging.tasks.wake", 1.0),
        ("messaging.tasks.sweep", 5.0),
        ("webhooks.tasks.process_people", 2.0),
        ("webhooks.tasks.process_reports", 2.0),
    )
}
# Publishing happens in requests, and a lost task is found by the sweep: fail fast, never hang.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 600,  # far above the longest task
        # Without these two a killed worker's tasks come back only after minutes.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    }

# --- Logs ----------------------------------------------------------------------------------------

LOGGING = logging_config(
    json=env.choice("LOG_FORMAT", among=("json", "console"), default="json") == "json",
    level=env.choice("LOG_LEVEL", among=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = logging.DEBUG  # ticks would drown the rest
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG

# --- The product's own ---------------------------------------------------------------------------

# A STOP closes every line of ours to the person, or only the identity that it was sent to.
OPT_OUT_SCOPE = env.choice("OPT_OUT_SCOPE", among=("everything", "identity"), default="everything")
# How confirmations (STOP, START, HELP) name you.
ORGANISATION = env.str("ORGANISATION", default="Tapback demo")
CURRENCY = env.str("CURRENCY", default="USD")
DISPATCH_CALL_DEADLINE = timedelta(seconds=20)
