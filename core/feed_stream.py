"""The stream in Redis that wakes the polls of the feeds on all machines."""

from __future__ import annotations

import logging
import time
from importlib import import_module
from typing import Any, Final

from django.conf import settings

logger = logging.getLogger(__name__)

_BLOCK_MS: Final = 400
_STREAM_LENGTH: Final = 1_000
_REDIS_AWAY_SECONDS: Final = 10.0
_REDIS_SECONDS: Final = 0.25


class Stream:
    """Wakes the polls of all machines through Redis, and leaves it alone while it is away."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._after = "$"
        self._writer: Any = None
        self._reader: Any = None
        self._away_until = float("-inf")

    def ring(self, seq: int) -> None:
        """Tell the others that there is a row."""
        if not self._is_there():
            return
        try:
            if self._writer is None:
                self._writer = _redis(_REDIS_SECONDS)
            self._writer.xadd(self._key, {"seq": seq}, maxlen=_STREAM_LENGTH, approximate=True)
        except import_module("redis").RedisError as error:
            self._go_away(error)

    def wait(self) -> bool:
        """Wait for a row, 400 ms at most; return False where there is no Redis to wait for."""
        if not self._is_there():
            return False
        try:
            if self._reader is None:
                self._reader = _redis(_BLOCK_MS / 1000 + _REDIS_SECONDS)
            found = self._reader.xread({self._key: self._after}, block=_BLOCK_MS, count=1_000)
        except import_module("redis").RedisError as error:
            self._go_away(error)
            return False
        if found:
            self._after = found[0][1][-1][0]
        return True

    def close(self) -> None:
        """Give both connections back."""
        for client in (self._writer, self._reader):
            if client is not None:
                client.close()
        self._writer = self._reader = None

    def _is_there(self) -> bool:
        return bool(settings.REDIS_URL) and time.monotonic() >= self._away_until

    def _go_away(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _REDIS_AWAY_SECONDS
        logger.warning("Redis does not wake the feeds for now (%s).", type(error).__name__)


def _redis(seconds: float) -> Any:  # noqa: ANN401  # imported only where Redis is used
    # The client's import costs as much as all of Django's; only Redis users pay for it.
    redis, retry = import_module("redis"), import_module("redis.retry")
    never = retry.Retry(import_module("redis.backoff").NoBackoff(), 0)
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=seconds,
        socket_connect_timeout=_REDIS_SECONDS,
        retry=never,
    )
