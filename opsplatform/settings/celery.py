"""Celery: the message is a doorbell, the row is the truth."""

from typing import Any

from opsplatform.settings.database import REDIS_URL
from opsplatform.settings.paths import OPS_DATA_DIR

QUEUE_DIR = OPS_DATA_DIR / "queue"

CELERY_BROKER_URL = REDIS_URL or "opsfs://localhost//"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        # Above every hard limit of a task: Redis delivers what runs longer a second time.
        "visibility_timeout": 7200,
        "unacked_restore_interval": 5,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "health_check_interval": 30,
    }
    if REDIS_URL
    else {
        "data_folder_in": str(QUEUE_DIR / "messages"),
        "data_folder_out": str(QUEUE_DIR / "messages"),
        "control_folder": str(QUEUE_DIR / "control"),
        "polling_interval": 0.1,
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
# Without results there is nothing to clean up; beat would add a job for it.
CELERY_RESULT_EXPIRES = None
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(REDIS_URL)
CELERY_TASK_SOFT_TIME_LIMIT = 300
CELERY_TASK_TIME_LIMIT = 330
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "opsplatform.beat:LeasedScheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True
