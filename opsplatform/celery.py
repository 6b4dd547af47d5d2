"""The Celery app of every process."""

import os
from typing import Final

from celery import Celery
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

from core import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsplatform.settings")
TRANSPORT_ALIASES[broker.ALIAS] = "core.broker:Transport"

app: Final = Celery("opsplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()

if not settings.REDIS_URL:
    (settings.QUEUE_DIR / "messages").mkdir(mode=0o700, parents=True, exist_ok=True)
