"""How many messages may leave now, where a provider allows so many a minute."""

from typing import Final

# A part of the minute's messages may leave at once; the rest is spread.
BURST_SHARE: Final = 10
# The longest that a receiver may hold up its whole channel; a clock that stepped back may not more.
LONGEST_HOLD_SECONDS: Final = 15 * 60.0


def burst(rate_per_minute: int) -> int:
    """Return how many messages may leave at once after a rest."""
    return max(1, rate_per_minute // BURST_SHARE)


def available(*, rate_per_minute: int, tokens: float, seconds_since: float | None) -> float:
    """Return the tokens in the bucket, given those that were left and how long ago.

    It fills so much slower as it may burst: no minute, wherever it begins, holds more messages than
    the rate. A bucket that was never used is full, and so is one from a future that no hold
    explains.
    """
    most = burst(rate_per_minute)
    if seconds_since is None or seconds_since < -LONGEST_HOLD_SECONDS:
        return float(most)
    if seconds_since < 0:
        return 0.0
    per_second = (rate_per_minute - most + 1) / 60
    return min(float(most), tokens + seconds_since * per_second)
