"""Whether checks start so late that their figures cannot be trusted."""

from dataclasses import dataclass

PERIOD_SECONDS = 60.0
MOST_LATE_SHARE = 0.01
LEAST_LATE = 3
LATE_INTERVALS = 0.5


@dataclass(slots=True)
class Lateness:
    """Counts starts by the minute: more than one in a hundred late by half an interval is late."""

    is_late: bool = False
    worst_seconds: float = 0.0
    _until: float = 0.0
    _starts: int = 0
    _late: int = 0
    _worst: float = 0.0

    def note(self, *, late: float, interval: float, now: float) -> None:
        """Count one start."""
        self.look(now)
        self._starts += 1
        self._late += late > LATE_INTERVALS * interval
        self._worst = max(self._worst, late)

    def look(self, now: float) -> None:
        """Judge the minute that is over."""
        if now < self._until:
            return
        if self._until:
            self.is_late = self._late >= LEAST_LATE and self._late > MOST_LATE_SHARE * self._starts
            self.worst_seconds = self._worst
        self._until = now + PERIOD_SECONDS
        self._starts = self._late = 0
        self._worst = 0.0
