"""Ask whether every error budget that releases depend on has enough left."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.drill import is_drill
from reliability.selectors import objectives

if TYPE_CHECKING:
    from reliability.selectors.objectives import Standing

_CACHE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Gate:
    """An objective that was judged for its gate."""

    service: str
    objective: str
    remaining_share: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Gates:
    """The objectives whose gate fails, and those of which too little is known."""

    failing: tuple[Gate, ...] = ()
    insufficient: tuple[Gate, ...] = ()
    is_drill: bool = False

    @property
    def are_open(self) -> bool:
        """Say whether nothing fails."""
        return not self.failing


class GateCheck:
    """Judges at most so often; whoever asks meanwhile gets the last answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Gates | None = None
        self._fresh_until = 0.0

    def current(self) -> Gates:
        """Return what was found a moment ago; in a drill only that somebody answers.

        The spent budgets of a restored copy are no fault of its restore.
        """
        if is_drill():
            return Gates(is_drill=True)
        previous = self._last
        if not self._lock.acquire(blocking=previous is None) and previous is not None:
            return previous
        try:
            if self._last is None or time.monotonic() >= self._fresh_until:
                self._last = _look()
                self._fresh_until = time.monotonic() + _CACHE_SECONDS
            return self._last
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Look anew when asked next."""
        with self._lock:
            self._last = None


def _look() -> Gates:
    gating = [found for found in objectives.all_standings() if found.slo.gate]
    return Gates(
        failing=tuple(_gate(found, _spent(found)) for found in gating if found.fails_gate),
        insufficient=tuple(
            _gate(found, "too little is known to judge it")
            for found in gating
            if not found.is_sufficient
        ),
    )


def _gate(found: Standing, reason: str) -> Gate:
    return Gate(found.slo.service.name, found.slo.name, found.remaining_share, reason)


def _spent(found: Standing) -> str:
    return f"{(found.used_share or 0) * 100:.1f} % of the error budget is used"


check: Final = GateCheck()
"""What this process knows."""
