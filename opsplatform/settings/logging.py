"""Log levels, files and formats."""

import logging
from typing import Any

from opsplatform.env import ENV
from opsplatform.settings.paths import OPS_DATA_DIR

ENV.section("Logs")
LOG_LEVEL = ENV.choice(
    "LOG_LEVEL",
    choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    default="INFO",
    about="Least level that is kept.",
)
LOG_FORMAT = ENV.choice(
    "LOG_FORMAT",
    choices=("json", "text"),
    default="json",
    about="Format on the terminal; files are JSON always.",
)
_given_file = ENV.text(
    "LOGS_FILE",
    default="logs/app.log",
    about="Log file, taken from OPS_DATA_DIR if relative; - writes everything to stderr.",
)
LOGS_FILE = _given_file if _given_file == "-" else str(OPS_DATA_DIR / _given_file)
LOG_RETENTION_DAYS = ENV.integer(
    "LOG_RETENTION_DAYS", default=30, minimum=1, about="Days that logs are kept."
)
OPS_LOG_MAX_BYTES = ENV.integer(
    "OPS_LOG_MAX_BYTES",
    default=67_108_864,
    minimum=1_048_576,
    about="Size at which the log file is rotated.",
)

# No line shows these, so they need not be found out for each of them (a microsecond and a half).
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None  # noqa: SLF001  # the way Python's own documentation names

_HANDLERS: dict[str, dict[str, Any]] = (
    {"console": {"()": "core.logs.ConsoleHandler", "style": LOG_FORMAT}}
    if LOGS_FILE == "-"
    else {
        "file": {
            "()": "core.logs.FileHandler",
            "path": LOGS_FILE,
            "max_bytes": OPS_LOG_MAX_BYTES,
        },
        "console": {
            "()": "core.logs.ConsoleHandler",
            "style": LOG_FORMAT,
            "level": "WARNING",
        },
    }
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"exceptions": {"()": "core.logs.OnlyExceptions"}},
    "handlers": _HANDLERS,
    "root": {"level": LOG_LEVEL, "handlers": list(_HANDLERS)},
    "loggers": {
        # Django gives these handlers of their own, which would write every line twice.
        "django": {"handlers": [], "level": "NOTSET", "propagate": True},
        "django.server": {"handlers": [], "level": "NOTSET", "propagate": True},
        # Every answer has its line in the access log; this one adds why a view failed.
        "django.request": {"filters": ["exceptions"]},
        # Any stranger can send a wrong Host, and each would leave a traceback here.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # Sent and received are said again when a task has ended, with its time.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
