"""Settings of the tests: quick hashes, a broker in memory; little else differs."""

from opsplatform.settings import *  # noqa: F403
from opsplatform.settings.database import DATABASES as _DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
DATABASES = {
    "default": {**_DATABASES["default"], "CONN_MAX_AGE": 0},
}
# Limits are tested on their own; other tests must not run into them.
OPS_RATE_LIMIT = 1_000_000
OPS_LOGIN_RATE_LIMIT = 1_000_000
