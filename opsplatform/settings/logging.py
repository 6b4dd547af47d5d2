"""Log levels, files and formats."""

from opsplatform.env import ENV

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
LOGS_FILE = ENV.text(
    "LOGS_FILE", default="logs/app.log", about="Log file; - writes everything to stderr."
)
LOG_RETENTION_DAYS = ENV.integer(
    "LOG_RETENTION_DAYS", default=30, minimum=1, about="Days that logs are kept."
)
OPS_LOG_MAX_BYTES = ENV.integer(
    "OPS_LOG_MAX_BYTES",
    default=67_108_864,
    minimum=1_048_576,
    about="Size at which the log file is rotated.",
)
LOGGING = {"version": 1, "disable_existing_loggers": False}
