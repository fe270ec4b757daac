"""All settings in one file. What differs between installations is an environment variable (docs/settings.md).

Without any of them: SQLite and a key file under DATA_DIR, no other service.
"""

import sys
from pathlib import Path
from typing import Any

import environ
from django.core.management.utils import get_random_secret_key
from django.templatetags.static import static

from cdp.core.crypto import Keyring
from config import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = env.flag("DEBUG", False)
PUBLIC_URL = env.text("PUBLIC_URL", f"http://localhost:{env.integer('PORT', 8000, low=1, high=65535)}").rstrip("/")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", PUBLIC_URL)
TRUSTED_PROXIES = env.words("TRUSTED_PROXIES")


def _secret_key() -> str:
    given = env.text("SECRET_KEY")
    if given:
        return given
    path = DATA_DIR / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(get_random_secret_key())
    return path.read_text()


def _keyring() -> Keyring:
    given = env.text("DATA_KEYS")
    if not given:
        return Keyring.load(DATA_DIR / "keys.json")
    try:
        return Keyring.parse(given, suppression=env.text("SUPPRESSION_KEY"))
    except ValueError as error:
        sys.exit(f"DATA_KEYS and SUPPRESSION_KEY cannot be used: {error}")


SECRET_KEY = _secret_key()
KEYRING = _keyring()

# --- Stores -----------------------------------------------------------------------------------------------------------

DATABASE_URL = env.text("DATABASE_URL")
REDIS_URL = env.text("REDIS_URL")
DATABASES: dict[str, dict[str, Any]] = {}
if DATABASE_URL:
    if not DATABASE_URL.startswith(("postgres://", "postgresql://", "sqlite:///")):
        sys.exit("DATABASE_URL cannot be used: give postgres://USER:PASSWORD@HOST:5432/NAME, or leave it unset.")
    DATABASES["default"] = {**environ.Env.db_url_config(DATABASE_URL), "CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
else:
    DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "cdp.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # auto_vacuum has an effect only before the first table: so it comes first, on every connection.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": (
            "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA secure_delete=ON; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY"
        ),
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
}

# --- The house --------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "cdp.access",  # before Django's: its commands that make users are recorded ones
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "cdp.profiles",
    "cdp.identities",
    "cdp.traits",
    "cdp.consents",
    "cdp.events",
    "cdp.history",
    "cdp.segments",
    "cdp.scoring",
    "cdp.customer360",
    "cdp.pipeline",
    "cdp.privacy",
    "integrations",
    "widget_api",
    "config",
]
MIDDLEWARE = [
    "config.request_id.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "access.User"
LOGIN_URL = "admin:login"
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
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
USE_TZ = True
TIME_ZONE = env.text("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "dashboard" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.error_page.AlwaysHiding"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "cdp.access.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["cdp.access.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["cdp.access.throttles.KeyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["cdp.rest.json.JsonRenderer", "rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cdp.rest.json.JsonParser", "cdp.rest.json.AnyTypeJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "cdp.rest.errors.handle",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Porta Futuri CDP",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1/cdp",
    "OAS_VERSION": "3.1.0",
    "PARSER_WHITELIST": ["cdp.rest.json.JsonParser"],
    "PREPROCESSING_HOOKS": ["cdp.rest.schema.documented"],
}
UNFOLD = {
    "SITE_TITLE": "Porta Futuri CDP",
    "SITE_HEADER": "Porta Futuri CDP",
    "SITE_SYMBOL": "hub",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _request: static("console.css")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("favicon.svg")},
    ],
    "DASHBOARD_CALLBACK": "dashboard.overview.dashboard",
    "SIDEBAR": {"show_search": True, "navigation": "dashboard.navigation.navigation"},
}

# --- Work -------------------------------------------------------------------------------------------------------------

_BROKER_DIR = DATA_DIR / "broker"
INBOX_WAKE = "config.celery.wake"  # what the REST API calls after a commit, so that the worker need not be swept up
IDENTITY_TOKENS = "widget_api.tokens.proven_user"  # what says whose a message's `context.identityToken` is
CELERY_BROKER_URL = REDIS_URL or "folder://localhost"
if not REDIS_URL:
    for _folder in ("messages", "processed", "control"):
        (_BROKER_DIR / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_BROKER_DIR / "messages"),
        "data_folder_out": str(_BROKER_DIR / "messages"),
        "control_folder": str(_BROKER_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.2,  # half the idle CPU of 0.1
    }
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# --- Ingestion (WIRE.md) ----------------------------------------------------------------------------------------------

_MIB4 = 4 * 1024 * 1024
MAX_EVENT_BYTES = env.integer("MAX_EVENT_BYTES", 32 * 1024, low=1024, high=_MIB4)
MAX_BATCH_BYTES = env.integer("MAX_BATCH_BYTES", 500 * 1024, low=1024, high=_MIB4)
MAX_BATCH_EVENTS = env.integer("MAX_BATCH_EVENTS", 2500, low=1, high=100_000)
MAX_BACKLOG = env.integer("MAX_BACKLOG", 5_000_000, low=1000, high=1_000_000_000)
DEDUPE_DAYS = env.integer("DEDUPE_DAYS", 400, low=0, high=36_500)
DEFAULT_CURRENCY = env.text("DEFAULT_CURRENCY", "EUR").upper()
DEFAULT_PHONE_REGION = env.text("DEFAULT_PHONE_REGION", "LT")
KEEP_FULL_IP = env.flag("KEEP_FULL_IP", False)
# How many messages one transaction processes. Measured, events a second on PostgreSQL: 6,500 with 500, 7,000 with 1000,
# 8,600 with 2000. While the door writes beside it on PostgreSQL they are smaller (`cdp.pipeline.process`).
MICRO_BATCH = env.integer("MICRO_BATCH", 2000, low=1, high=20_000)
# How far the worker steps back for the web process (`nice`). Measured, p99 at the door beside a busy worker on two
# processors: 2.7 times the quiet one without, 1.6 to 2 with; it matters only where both want the same processor.
WORKER_NICE = env.integer("WORKER_NICE", 15, low=0, high=19)

# --- History (the lake) -----------------------------------------------------------------------------------------------

LAKE_URL = env.text("LAKE_URL") or str(DATA_DIR / "lake")
ERASURE_JOURNAL = Path(env.text("ERASURE_JOURNAL") or DATA_DIR / "erasures.jsonl")
ANALYTICS_ENGINE = env.text("ANALYTICS_ENGINE", "duckdb")
ANALYTICS_SECONDS = env.integer("ANALYTICS_SECONDS", 600, low=1, high=86_400)
ANALYTICS_MEMORY_MB = env.integer("ANALYTICS_MEMORY_MB", 2048, low=64, high=1_000_000)
HOT_EVENT_DAYS = env.integer("HOT_EVENT_DAYS", 180, low=1, high=36_500)
COMPUTED_WINDOW_SECONDS = env.integer("COMPUTED_WINDOW_SECONDS", 300, low=1, high=86_400)
LAKE_FLUSH_ROWS = env.integer("LAKE_FLUSH_ROWS", 50_000, low=1, high=1_000_000)
LAKE_FLUSH_SECONDS = env.integer("LAKE_FLUSH_SECONDS", 60, low=1, high=86_400)

# --- Segments ---------------------------------------------------------------------------------------------------------

SEGMENTS_WAKE = "config.celery.wake_segments"  # called when a segment was changed, so that it is computed at once
SEGMENT_SWEEP_SECONDS = env.integer("SEGMENT_SWEEP_SECONDS", 300, low=1, high=86_400)
SEGMENT_HISTORY_DAYS = env.integer("SEGMENT_HISTORY_DAYS", 400, low=1, high=36_500)

# --- Privacy ----------------------------------------------------------------------------------------------------------

PACKAGE_DAYS = env.integer("PACKAGE_DAYS", 7, low=1, high=365)
PACKAGE_PARTS = ("integrations.package.LOOK_UPS",)  # what other apps add to an access package, each a Part
RETENTION_HOUR = env.integer("RETENTION_HOUR", 3, low=0, high=23)  # in TIME_ZONE
RETENTION_LOGS = ("integrations.retention.LOOK_UPS",)  # logs of other apps that policies decide about, each a Log

# --- Other customer data platforms ------------------------------------------------------------------------------------

FEATURE_CDP_ENABLED = env.flag("FEATURE_CDP_ENABLED", True)
CDP_CACHE_TTL = env.integer("CDP_CACHE_TTL", 300, low=1, high=86_400)
CDP_REQUEST_TIMEOUT = env.integer("CDP_REQUEST_TIMEOUT", 2000, low=50, high=60_000)
CDP_LOG_DAYS = env.integer("CDP_LOG_DAYS", 30, low=1, high=3650)
EXACASTER_API_URL = env.text("EXACASTER_API_URL", "https://customer360.exacaster.com/courier/api/v1")
EXACASTER_WORKSPACE_ID = env.text("EXACASTER_WORKSPACE_ID")
EXACASTER_RESOURCE_ID = env.text("EXACASTER_RESOURCE_ID")
EXACASTER_BEARER_TOKEN = env.text("EXACASTER_BEARER_TOKEN")
OUTBOUND_ALLOW = env.networks("OUTBOUND_ALLOW")
WORK_AFTERWARDS = True  # threads of the process do what a look-up leaves to do

# --- Requests of people about their data ------------------------------------------------------------------------------

PRIVACY_DAYS_GDPR = env.integer("PRIVACY_DAYS_GDPR", 30, low=1, high=365)
PRIVACY_DAYS_CCPA = env.integer("PRIVACY_DAYS_CCPA", 45, low=1, high=365)
PRIVACY_LINK_HOURS = env.integer("PRIVACY_LINK_HOURS", 72, low=1, high=720)
OPENDSR_WAIT_MINUTES = env.integer("OPENDSR_WAIT_MINUTES", 60, low=0, high=43_200)
OPENDSR_CERTIFICATE, OPENDSR_KEY = env.text("OPENDSR_CERTIFICATE"), env.text("OPENDSR_KEY")
if bool(OPENDSR_CERTIFICATE) != bool(OPENDSR_KEY):
    sys.exit("OPENDSR_CERTIFICATE and OPENDSR_KEY belong together: give the paths of both PEM files, or neither.")
PRIVACY_ALERT_DAYS = env.integers("PRIVACY_ALERT_DAYS", "7,2", low=1, high=365)
REQUESTS_WAKE = "config.celery.wake_requests"  # called when a request is to be carried out that takes long

# --- Mail -------------------------------------------------------------------------------------------------------------

_EMAIL_URL = env.text("EMAIL_URL")
if _EMAIL_URL and not _EMAIL_URL.startswith(("smtp://", "smtp+tls://", "smtp+ssl://")):
    sys.exit("EMAIL_URL cannot be used: give smtp+tls://USER:PASSWORD@HOST:587, or leave it unset.")
_mail = environ.Env.email_url_config(_EMAIL_URL or "dummymail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "Porta Futuri CDP <cdp@localhost>")

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", "DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMAT = env.choice("LOG_FORMAT", "text", "text", "json")
METRICS_TOKEN = env.text("METRICS_TOKEN")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"()": "config.log.TextFormatter"}, "json": {"()": "config.log.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["no_values"]}},
    "filters": {"no_values": {"()": "config.log.NoValues"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # One line for every sweep says nothing.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.worker.request": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        # Its lines name the address that was asked, and with it the customer.
        "urllib3": {"level": "CRITICAL"},
        "uvicorn.error": {"level": "WARNING"},
    },
}
