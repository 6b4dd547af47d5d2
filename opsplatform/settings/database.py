"""Database and cache: files by default, PostgreSQL and Redis when they are named."""

from typing import Any, Final

import dj_database_url

from opsplatform.env import ENV
from opsplatform.settings.paths import OPS_DATA_DIR

ENV.section("Database and Redis")
DATABASE_URL = ENV.url(
    "DATABASE_URL",
    default="",
    schemes=("postgres", "postgresql", "sqlite"),
    secret=True,
    about="postgresql://user:password@host/name. Empty: a SQLite file in OPS_DATA_DIR.",
)
REDIS_URL = ENV.url(
    "REDIS_URL",
    default="",
    schemes=("redis", "rediss"),
    secret=True,
    about="redis://host:6379/0 for queue, limits and wake-ups. Empty: files in OPS_DATA_DIR.",
)

_KEEP_SECONDS: Final = 600

# Measured with 8 writers that read, then write: Django's defaults end 39 % of the transactions with
# "database is locked"; WAL with IMMEDIATE transactions and these caches none.
_SQLITE_OPTIONS: Final[dict[str, Any]] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA mmap_size=268435456;"
        "PRAGMA cache_size=-20000;PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit=67108864;"
    ),
}


def _database() -> dict[str, Any]:
    if not DATABASE_URL or DATABASE_URL.startswith("sqlite"):
        name = DATABASE_URL.partition("sqlite:///")[2] or str(OPS_DATA_DIR / "db.sqlite3")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": name,
            "OPTIONS": _SQLITE_OPTIONS,
            # Opening the file and its pragmas costs more than most queries.
            "CONN_MAX_AGE": _KEEP_SECONDS,
        }
    try:
        database: dict[str, Any] = {
            **dj_database_url.parse(
                DATABASE_URL, conn_max_age=_KEEP_SECONDS, conn_health_checks=True
            )
        }
    except (ValueError, dj_database_url.ParseError):
        ENV.problem("DATABASE_URL", "cannot be parsed")
        return {"ENGINE": "django.db.backends.dummy"}
    # A server that went away without a word, or a lock that somebody keeps, must not hold a thread
    # for ever. Migrations lift the limits for themselves.
    database["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "options": "-c statement_timeout=30s -c lock_timeout=10s",
        **database.get("OPTIONS", {}),
    }
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}
