"""Notice that the process or the machine stood still: what ran meanwhile proves nothing."""

import time
from collections.abc import Callable

LONGEST_TURN_SECONDS = 5.0


def _asleep() -> float:
    """Return how long the machine slept so far, as far as the kernel counts it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.clock_gettime(clock) - time.monotonic()


class Pauses:
    """Watches the clocks; `look` must be called each second.

    A process that was stopped finds that the monotonic clock went on without it, a machine that
    slept finds that another clock did.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        asleep: Callable[[], float] = _asleep,
    ) -> None:
        self._monotonic = monotonic
        self._asleep = asleep
        self._seen: float | None = None
        self._slept = asleep()
        self.ended_at = float("-inf")

    def look(self) -> float:
        """Return the length of the pause that ended just now, 0 if there was none."""
        now, slept = self._monotonic(), self._asleep()
        gap = (now - self._seen if self._seen is not None else 0.0) + max(0.0, slept - self._slept)
        self._seen, self._slept = now, slept
        if gap <= LONGEST_TURN_SECONDS:
            return 0.0
        self.ended_at = now
        return gap

    def spoiled(self, began: float) -> bool:
        """Tell whether there was a pause since a moment of the monotonic clock."""
        return self.ended_at >= began
