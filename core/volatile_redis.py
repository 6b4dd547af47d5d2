"""Rate limits in Redis, shared by all machines."""

from typing import Final

import redis

_LUA: Final = """
local now, interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat > now + tolerance + 1e-6 then tat = now end
local new = math.max(tat, now) + interval
if new > now + tolerance + 1e-6 then return {0, tostring(tat)} end
redis.call('SET', KEYS[1], tostring(new), 'PX', math.ceil((new - now) * 1000) + 1000)
return {1, tostring(new)}
"""


class RedisStore:
    """Counts by one script, so that two processes never see the same state."""

    def __init__(self, url: str) -> None:
        client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        self._script = client.register_script(_LUA)

    def advance(
        self, key: str, now: float, interval: float, tolerance: float
    ) -> tuple[bool, float]:
        """Take one step; return whether it passed and the arrival time. Raises OSError."""
        try:
            allowed, tat = self._script(keys=[f"rate:{key}"], args=[now, interval, tolerance])
        except redis.RedisError as error:
            message = f"Redis does not answer ({type(error).__name__})."
            raise OSError(message) from error
        return bool(allowed), float(tat)
