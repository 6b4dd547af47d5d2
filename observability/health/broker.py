"""Ask whether messages for the worker come through."""

import time
from functools import cache
from pathlib import Path
from typing import Final

import redis
from django.conf import settings

from core.broker import waiting
from observability.engine.findings import OK, Finding, degraded, down

_QUEUE: Final = "celery"
_LONGEST_WAIT_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 1.0


def probe() -> Finding:
    """Ping Redis, or look for a message in the queue folder that nobody takes."""
    if settings.REDIS_URL:
        return _ask_redis()
    folder = Path(settings.QUEUE_DIR) / "messages"
    return judge_queue(waiting(folder, _QUEUE), now=time.time())


def judge_queue(names: list[str], *, now: float) -> Finding:
    """Judge waiting messages by their names, which begin with the time in nanoseconds."""
    if not names:
        return OK
    written_at, _, _ = names[0].partition("_")
    if written_at.isdigit() and now - int(written_at) / 1e9 > _LONGEST_WAIT_SECONDS:
        return degraded(f"the oldest message has waited for over {_LONGEST_WAIT_SECONDS} s")
    return OK


def _ask_redis() -> Finding:
    try:
        client().ping()
    except redis.RedisError:
        return down("does not answer")
    return OK


@cache
def client() -> redis.Redis:
    """Return the client whose connections are kept between two looks."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
    )
