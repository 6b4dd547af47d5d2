"""Settings of the tests: quick hashes, a broker in memory, no fsync; little else differs."""

from opsplatform.settings import *  # noqa: F403
from opsplatform.settings.database import DATABASES as _DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
STATIC_ROOT = OPS_DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

_database = {**_DATABASES["default"], "CONN_MAX_AGE": 0}
if "sqlite3" in _database["ENGINE"]:
    # A file, not memory: tests with threads and processes then meet the locks of production.
    _quick = _database["OPTIONS"]["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    _database["OPTIONS"] = {**_database["OPTIONS"], "init_command": _quick}
    _database["TEST"] = {"NAME": str(OPS_DATA_DIR / "test.sqlite3")}
DATABASES = {"default": _database}

# Limits are tested on their own; other tests must not run into them.
OPS_RATE_LIMIT = 1_000_000
OPS_LOGIN_RATE_LIMIT = 1_000_000

# A thread would outlive its test; tests of the thread start processes of their own.
FEED_POLLS = False
# A timer's thread would write into the database of another test.
API_KEY_USE_SECONDS = 86_400.0
