"""The limit of connections over all processes: a sorted set in Redis, whose entries run out.

What a killed process held is free again after 90 seconds. Without Redis each process counts alone.
"""

from __future__ import annotations

import logging
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from notifications.services.wakeups import connect, redis_url

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

KEY: Final = "opsplatform:sockets"
HELD_SECONDS: Final = 90
_AWAY_SECONDS: Final = 5.0

# By the clock of Redis: those of the machines may differ.
_TAKE: Final = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
return 1
"""
_HOLD: Final = """
local now = tonumber(redis.call('TIME')[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i]) end
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[1]))
return 1
"""
_AT_ONCE: Final = 1_000


class Slots:
    """Takes, holds and gives back places; called in threads, never in the event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: set[str] = set()
        self._client: Any = None
        self._take: Any = None
        self._hold: Any = None
        self._away_until = 0.0

    def take(self, number: str) -> bool:
        """Take a place; without an answer of Redis there is one, and the process counts alone."""
        taken = self._ask(
            lambda: self._take(keys=[KEY], args=[self._most, HELD_SECONDS, number]), default=1
        )
        if taken:
            self._held.add(number)
        return bool(taken)

    def hold(self, numbers: Collection[str]) -> None:
        """Keep the places of all connections of this process for another 90 seconds."""
        ordered = list(numbers)
        for start in range(0, len(ordered), _AT_ONCE):
            some = ordered[start : start + _AT_ONCE]
            self._ask(lambda some=some: self._hold(keys=[KEY], args=[HELD_SECONDS, *some]))

    def give_back(self, numbers: Collection[str]) -> None:
        """Free places."""
        self._held.difference_update(numbers)
        if numbers:
            self._ask(lambda: self._client.zrem(KEY, *numbers))

    def give_back_all(self) -> None:
        """Free every place of this process."""
        self.give_back([*self._held])

    def _ask(self, call: Any, default: Any = None) -> Any:  # noqa: ANN401  # the client has no types of its own
        url = redis_url()
        if not url or time.monotonic() < self._away_until:
            return default
        try:
            if self._client is None:
                self._client = connect(url)
                self._take = self._client.register_script(_TAKE)
                self._hold = self._client.register_script(_HOLD)
            return call()
        except import_module("redis").RedisError as error:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            logger.warning("This process counts its connections alone (%s).", type(error).__name__)
            return default
