"""Keys, cookies, passwords and the headers that Django sets itself."""

import json
from typing import Final

from core.crypto import keyed_digest
from core.keyring import KeyringError
from opsplatform.env import ENV
from opsplatform.settings.paths import KEYRING
from opsplatform.settings.web import HTTPS

ENV.section("Security")
OPS_DEBUG = ENV.boolean(
    "OPS_DEBUG", default=False, about="Tracebacks in answers. Never outside a developer's machine."
)
OPS_ENVIRONMENT = ENV.text(
    "OPS_ENVIRONMENT", default="development", about="Name shown in the console, such as production."
)
_given_secret_key = ENV.text(
    "SECRET_KEY",
    default="",
    secret=True,
    about="Signs sessions and links. Default: generated into the keyring.",
)
OPS_SESSION_HOURS = ENV.integer(
    "OPS_SESSION_HOURS",
    default=24,
    minimum=1,
    maximum=8760,
    about="A sign-in by API ends after so many hours, however often it is refreshed.",
)
OPS_AUTH_STALE_READS = ENV.boolean(
    "OPS_AUTH_STALE_READS",
    default=False,
    about="While nobody can find out what was revoked, let requests pass that only read.",
)
OPS_OUTGOING_ALLOW = ENV.targets(
    "OPS_OUTGOING_ALLOW",
    about="Targets that checks and webhooks may reach although they are not public, "
    "such as 10.0.0.0/8 or 127.0.0.1:9000. Metadata addresses stay refused.",
)


def _dashboard_keys() -> tuple[tuple[bytes, str], ...]:
    raw = ENV.text(
        "ROLES_JSON",
        default="",
        secret=True,
        about='Dashboard keys for the header X-Dash-Key: {"<32 characters or more>": "<role>"}.',
    )
    if not raw:
        return ()
    try:
        table = json.loads(raw)
    except ValueError:
        ENV.problem("ROLES_JSON", "is not valid JSON")
        return ()
    if not isinstance(table, dict) or not all(isinstance(role, str) for role in table.values()):
        ENV.problem("ROLES_JSON", "is not an object of keys and role names")
        return ()
    if any(len(key) < _SHORTEST_DASHBOARD_KEY for key in table):
        ENV.problem("ROLES_JSON", "has a key of fewer than 32 characters")
    # Only digests stay in memory; a key is compared with all of them in constant time.
    return tuple((keyed_digest(DASHBOARD_PEPPER, key), role) for key, role in table.items())


_SHORTEST_DASHBOARD_KEY: Final = 32

try:
    SECRET_KEY = _given_secret_key or KEYRING.ensure("SECRET_KEY")
    DASHBOARD_PEPPER = KEYRING.ensure("DASHBOARD_PEPPER")
except KeyringError as error:
    SECRET_KEY = DASHBOARD_PEPPER = ""
    ENV.problem("OPS_DATA_DIR", f"cannot hold the keyring: {str(error).rstrip('.')}")

DASHBOARD_KEYS = _dashboard_keys()
OPS_DASHBOARD_KEY_ROLE = ENV.choice(
    "OPS_DASHBOARD_KEY_ROLE",
    choices=("admin", "operator", "manager", "engineer", "analyst", "auditor", "user"),
    default="analyst",
    about="Role of a dashboard key that rotation makes and that replaces none of ROLES_JSON.",
)
API_KEY_USE_SECONDS = 60.0
"""How often it is written when API keys were last used."""
DEBUG = OPS_DEBUG

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "admin:login"
PASSWORD_HASHERS = [
    "accounts.hashers.BoundedArgon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATION: Final = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": "accounts.validators.LongestPasswordValidator"},
    {"NAME": "accounts.validators.OwnWordsValidator"},
    {"NAME": "accounts.validators.BreachedPasswordValidator"},
]

# The __Host- prefix asks for Secure, which a browser honours only over TLS.
_PREFIX: Final = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{_PREFIX}ops_session"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_ENGINE = "accounts.authentication.sessionstore"
AUTHENTICATION_BACKENDS = ["accounts.authentication.backend.SnapshotBackend"]
# A thread of each process follows what was revoked; without it, requests look for themselves.
FEED_POLLS = True
CSRF_FAILURE_VIEW = "opsplatform.errors.csrf_failure"
# In a cookie, not in the session: a stranger who opens the sign-in page must not make a row.
CSRF_COOKIE_NAME = f"{_PREFIX}ops_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^healthz/strict$", r"^readyz$"]
SECURE_HSTS_SECONDS = 365 * 86400 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# core.headers forbids framing on every response, those of the event loop included.
SILENCED_SYSTEM_CHECKS = ["security.W002"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
