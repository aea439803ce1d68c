"""Every setting of the portal, read once from the environment with typed readers.

One file on purpose. Nothing here asks whether it runs under test or in the local world: the launcher and the test
plugin only set other values. Names and meanings are listed in docs/operations.md.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from sendserver.lib.platform import Platform
from sendserver.lib.relays import RelayConfig

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def env_bool(name: str, *, default: bool) -> bool:
    """Return the switch `name`; only "on" and "off" are understood, so a typo cannot mean yes."""
    value = env.str(name, default="on" if default else "off")
    if value not in ("on", "off"):
        raise ImproperlyConfigured(f"{name} is {value!r}; it takes on or off.")
    return value == "on"


def env_keys(name: str) -> dict[str, bytes]:
    """Return the keys of a "kid:hex,kid:hex" list, newest first, 32 bytes each."""
    pairs = [item.partition(":") for item in env.list(name, default=[])]
    return {kid: bytes.fromhex(secret) for kid, _, secret in pairs}


DEBUG = env_bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    # Commands that need no service (check, makemigrations --check) must work with nothing set;
    # the deploy check refuses this value, and a web process without keys refuses to sign anything.
    SECRET_KEY = "unset-" + "x" * 60
TOKEN_KEYS = env_keys("TOKEN_KEYS")
SUPPRESSION_KEYS = env_keys("SUPPRESSION_KEYS")
FIELD_KEYS = env_keys("FIELD_KEYS")
LEDGER_KEYS = env_keys("LEDGER_KEYS")  # Ed25519 seeds that sign the ledger's head; kept outside the database

BASE_URL = env.str("BASE_URL", default="http://localhost:8000").rstrip("/")
_HTTPS = BASE_URL.startswith("https://")
_BASE_HOST = BASE_URL.split("://", 1)[1].split(":", 1)[0].split("/", 1)[0]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_BASE_HOST, "localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)  # hops counted from the right of X-Forwarded-For
STAFF_NETWORKS = [ip_network(text) for text in env.list("STAFF_NETWORKS", default=[])]  # empty: from anywhere
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
LOCAL_WORLD = env_bool("LOCAL_WORLD", default=False)

# --- Who runs this platform: printed by the footer, privacy, terms and our own mail
PLATFORM = Platform.from_env(env)

# --- Data
_DATABASE_URL = env.str("DATABASE_URL", default="postgres://sendserver_app@localhost/sendserver")
_OWNER_URL = env.str("DATABASE_OWNER_URL", default=_DATABASE_URL)
DATABASES = {
    "default": {**env.db_url_config(_DATABASE_URL), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True},
    # Migrations and retention only; the application's role owns nothing (architecture rule 8).
    "owner": env.db_url_config(_OWNER_URL),
}
DATABASE_ROUTERS: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.str("REDIS_URL", default="redis://localhost:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "sendserver",
    }
}
LIMIT_PREFIX = "sendserver"  # of the counters in sendserver.lib.ratelimit
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

INSTALLED_APPS = [
    "sendserver.staff.apps.StaffConfig",  # our AdminSite as the default site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "anymail",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "accounts",
    "compliance",
    "campaigns",
    "abuse",
    "sendserver.pages",
]
if LOCAL_WORLD:
    INSTALLED_APPS.append("sendserver.local")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "sendserver.middleware.SecurityHeaders",
    "sendserver.middleware.RefuseNul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.CurrentOrganization",
    "sendserver.middleware.StaffNetworks",
]
ROOT_URLCONF = "sendserver.urls"
WSGI_APPLICATION = "sendserver.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["sendserver.lib.tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sendserver.pages.context.platform",
                "sendserver.pages.context.portal",
            ],
        },
    }
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- People: allauth
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/portal/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {
    "signup": "accounts.forms.SignupForm",
    "login": "accounts.forms.account.LoginForm",
    "reset_password": "accounts.forms.account.ResetPasswordForm",
    "add_email": "accounts.forms.account.AddEmailForm",
    "confirm_email_verification_code": "accounts.forms.account.VerificationCodeForm",
    "confirm_password_reset_code": "accounts.forms.account.ResetCodeForm",
}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_RATE_LIMITS = {  # per account and per network; the cache refuses when it is down, so they fail closed
    "login_failed": "20/m/ip,5/15m/key",
    "reset_password": "20/m/ip,3/h/key",
    "signup": "20/m/ip",
}
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Sendserver"
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_FORMS = {
    "authenticate": "accounts.forms.account.AuthenticateForm",
    "reauthenticate": "accounts.forms.account.ReauthenticateForm",
}
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _HTTPS  # localhost only; `check --deploy` refuses it elsewhere
USERSESSIONS_TRACK_ACTIVITY = False
FRESH_SIGNATURE_SECONDS = env.int("FRESH_SIGNATURE_SECONDS", default=300)  # age of a second factor that may sign

# --- Mail: exactly two relays (architecture rule 2); system mail leaves by the same two
RELAYS = {
    "relay-1": RelayConfig.from_url(
        1, env.str("RELAY_1_URL", default="smtp://127.0.0.1:2501?name=out1.sendserver.example")
    ),
    "relay-2": RelayConfig.from_url(
        2, env.str("RELAY_2_URL", default="smtp://127.0.0.1:2502?name=out2.sendserver.example")
    ),
}
EMAIL_BACKEND = "campaigns.sending.system.SystemMailBackend"
DEFAULT_FROM_EMAIL = PLATFORM.notice_from
SERVER_EMAIL = PLATFORM.notice_from
# A host whose mail the relays bring back to our inbound door: the header-fidelity self-test. Empty: not tested.
RELAY_SELF_TEST = env.str("RELAY_SELF_TEST", default="").lower()
INBOUND_LISTEN = env.str("INBOUND_LISTEN", default="127.0.0.1:2525")
DNS_SERVERS = env.list("DNS_SERVERS", default=["1.1.1.1:53", "9.9.9.9:53"])
ONCALL_EMAIL = env.str("ONCALL_EMAIL", default=PLATFORM.help_email)
ONCALL_WEBHOOK = env.str("ONCALL_WEBHOOK", default="")  # also told of alarms, by a signed POST; empty: mail alone
ONCALL_WEBHOOK_KEY = env.str("ONCALL_WEBHOOK_KEY", default="")
# The domains of some addresses of an upload are looked up; off where workers reach no DNS.
LIST_LOOKUPS = env_bool("LIST_LOOKUPS", default=True)
ALLOWED_BASES = env.list(
    "ALLOWED_BASES", default=["express_doi", "express_soi", "express_written", "express_oral"]
)  # rules CONSENT-BASIS; explicit permission by default
REQUIRE_SECOND_PERSON = env_bool("REQUIRE_SECOND_PERSON", default=True)
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "sendserver.lib.uploads.CappedUploadHandler",  # MAX_UPLOAD_BYTES, while the file arrives
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "sendserver.lib.uploads.DiskUploadHandler",
]
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=512 * 1024 * 1024)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
MEDIA_ROOT = VAR_DIR / "uploads"
JOURNAL_DIR = VAR_DIR / "journal"
FILE_UPLOAD_PERMISSIONS = 0o600

# Seconds and counts of the sending engine; production values are asserted by a test.
SENDING = {
    "lease_seconds": env.int("SENDING_LEASE_SECONDS", default=900),
    "slice_seconds": env.int("SENDING_SLICE_SECONDS", default=50),
    "connections": env.int("SENDING_CONNECTIONS", default=10),
    "chunk_size": env.int("SENDING_CHUNK_SIZE", default=1000),
    "stop_poll_seconds": env.float("SENDING_STOP_POLL_SECONDS", default=0.5),
    "timeouts": {"connect": 30.0, "command": 60.0, "body": 180.0, "dot": 600.0},
    "timeout_scale": env.float("SENDING_TIMEOUT_SCALE", default=1.0),
}
# Messages a second, 0 for no limit. The providers' are our own caution: none of them publishes one.
PACE = {
    "providers": {
        "gmail": 50.0,
        "outlook": 20.0,
        "yahoo": 20.0,
        "icloud": 10.0,
        "gmx": 10.0,
        **{key: float(rate) for key, rate in env.dict("PROVIDER_RATES", default={}).items()},
    },
    "domain": env.float("DOMAIN_RATE", default=0.0),
    "organization": env.float("ORGANIZATION_RATE", default=0.0),
}

# --- Celery: pokes only, no recipient data in the broker (architecture rule 1); the schedule lives in celery.py
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "work"
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 900
CELERY_TASK_SOFT_TIME_LIMIT = 840
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 1800,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "global_keyprefix": "ss:",
}

# --- Browser security
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SECURE_SSL_REDIRECT = _HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
SECURE_HSTS_PRELOAD = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if _HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if _HTTPS else "csrftoken"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = "sendserver.formats"  # 24 hours and the zone, also in the admin
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "sendserver.lib.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "sendserver.lib.logs.CountingHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
