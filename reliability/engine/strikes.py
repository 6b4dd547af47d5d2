"""How results become states: strikes, retries, back-dating, gaps, slowness."""

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reliability.engine import flapping

_RECENT = 5
_SLOW_OF_RECENT = 3
_RECENT_MASK = (1 << _RECENT) - 1
_HYSTERESIS = 0.8


class State(enum.StrEnum):
    """What a check says just now; SUSPECT and RECOVERING wait for a second opinion."""

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    SUSPECT = "suspect"
    DOWN = "down"
    RECOVERING = "recovering"


class Standing(enum.StrEnum):
    """What time is counted as: a suspect is still up, a recovering target still down."""

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Rules:
    """When one check changes its mind."""

    interval_seconds: float
    timeout_seconds: float
    strikes_down: int = 2
    strikes_up: int = 2
    degraded_ms: float | None = None
    down_at_once: bool = False

    @property
    def validity(self) -> timedelta:
        """How long a result stands; after that nobody knows until the next one."""
        return timedelta(seconds=1.5 * self.interval_seconds + self.timeout_seconds)


@dataclass(frozen=True, slots=True)
class Tracker:
    """What one check remembers between results.

    `since` is when the standing began, `streak_at` the first probe of the present streak, `slow`
    the last five successes as bits, `changes` which of the last results differed from the one
    before.
    """

    since: datetime
    state: State = State.UNKNOWN
    standing: Standing = Standing.UNKNOWN
    streak_ok: int = 0
    streak_fail: int = 0
    streak_at: datetime | None = None
    last_at: datetime | None = None
    slow: int = 0
    changes: int = 0
    is_flapping: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """The standing became another one at some moment, perhaps before now.

    After a `restart` the clock shows less than before: what stood until then may have begun at a
    later time than `at`.
    """

    at: datetime
    before: Standing
    after: Standing
    restart: bool = False


def advance(
    tracker: Tracker,
    rules: Rules,
    *,
    ok: bool,
    at: datetime,
    latency_ms: float = 0.0,
    late_seconds: float = 0.0,
    is_definite: bool = False,
) -> tuple[Tracker, tuple[Shift, ...]]:
    """Take one result into account and return the new memory with the shifts it caused.

    `at` is when the probe began, `late_seconds` how long it had waited for a place by then. DOWN
    counts from the first failed probe of the streak, UP after it from the first successful one.
    A failure that `is_definite` needs no second one where the rules say so.
    A clock that steps back by less than an interval makes no negative time; after a longer step
    the memory begins anew at the new time.
    """
    changes = _changes(tracker, ok=ok)
    tracker, at, back = _after_clock(tracker, rules, at)
    if not back:
        tracker, back = _expire(tracker, rules, at, late_seconds)
    if ok:
        tracker, shifts = _succeed(tracker, rules, at, latency_ms)
    else:
        strikes = 1 if is_definite and rules.down_at_once else rules.strikes_down
        tracker, shifts = _fail(tracker, strikes, at)
    is_flapping = flapping.flaps(changes, was_flapping=tracker.is_flapping)
    memory = replace(tracker, last_at=at, changes=changes, is_flapping=is_flapping)
    return memory, back + shifts


def lose(tracker: Tracker, rules: Rules, *, at: datetime) -> tuple[Tracker, tuple[Shift, ...]]:
    """Take into account a probe that says nothing about its target: it could not be made.

    Nobody knows how the target stands since the first doubt; earlier strikes count no more.
    """
    tracker, at, back = _after_clock(tracker, rules, at)
    standing = tracker.standing
    if standing is Standing.UNKNOWN:
        return _begun(tracker, tracker.since, last_at=at), back
    doubted = tracker.streak_fail and standing is not Standing.DOWN and tracker.streak_at
    since = max(tracker.streak_at if doubted and tracker.streak_at else at, tracker.since)
    return _begun(tracker, since, last_at=at), (*back, Shift(since, standing, Standing.UNKNOWN))


def _changes(tracker: Tracker, *, ok: bool) -> int:
    is_first = not tracker.streak_ok and not tracker.streak_fail
    differs = not is_first and ok is not bool(tracker.streak_ok)
    return flapping.remember(tracker.changes, differs=differs)


def _begun(tracker: Tracker, since: datetime, *, last_at: datetime | None = None) -> Tracker:
    """Begin anew; how often the target changed its mind is not forgotten."""
    return Tracker(
        since=since, last_at=last_at, changes=tracker.changes, is_flapping=tracker.is_flapping
    )


def _after_clock(
    tracker: Tracker, rules: Rules, at: datetime
) -> tuple[Tracker, datetime, tuple[Shift, ...]]:
    """Return what a clock that stepped back leaves of the memory, and the moment that counts."""
    known_until = max(tracker.since, tracker.last_at or tracker.since)
    if at < known_until - timedelta(seconds=rules.interval_seconds):
        tracker, back = _restart(tracker, at)
        return tracker, at, back
    return tracker, max(at, known_until), ()


def _expire(
    tracker: Tracker, rules: Rules, at: datetime, late_seconds: float
) -> tuple[Tracker, tuple[Shift, ...]]:
    """Count as UNKNOWN the time in which no result was valid.

    A queue of the prober's own, up to one interval of it, is no such time, or a hanging host with
    many checks would turn unknown instead of down. A target that was down stays down after the
    gap, so its incident goes on.
    """
    if tracker.last_at is None or tracker.standing is Standing.UNKNOWN:
        return tracker, ()
    expired_at = max(tracker.last_at + rules.validity, tracker.since)
    if at <= expired_at + timedelta(seconds=min(late_seconds, rules.interval_seconds)):
        return tracker, ()
    before = tracker.standing
    lost = Shift(expired_at, before, Standing.UNKNOWN)
    if before is Standing.DOWN:
        tracker = replace(tracker, state=State.DOWN, since=at, streak_ok=0)
        return tracker, (lost, Shift(at, Standing.UNKNOWN, before))
    return _begun(tracker, expired_at), (lost,)


def _restart(tracker: Tracker, at: datetime) -> tuple[Tracker, tuple[Shift, ...]]:
    """Begin anew after a clock step back; a target that was down stays down.

    Every result until the clock has caught up would otherwise fall on one moment, and an outage
    in that time would last no time at all.
    """
    before = tracker.standing
    lost = Shift(at, before, Standing.UNKNOWN, restart=True)
    if before is Standing.DOWN:
        tracker = replace(tracker, state=State.DOWN, since=at, streak_ok=0, last_at=at)
        return tracker, (lost, Shift(at, Standing.UNKNOWN, before))
    if before is Standing.UNKNOWN and tracker.since <= at:
        return _begun(tracker, tracker.since), ()
    return _begun(tracker, at), (lost,)


def _fail(tracker: Tracker, strikes: int, at: datetime) -> tuple[Tracker, tuple[Shift, ...]]:
    began_at = tracker.streak_at if tracker.streak_fail and tracker.streak_at else at
    tracker = replace(tracker, streak_ok=0, streak_fail=tracker.streak_fail + 1, streak_at=began_at)
    if tracker.standing is Standing.DOWN:
        return replace(tracker, state=State.DOWN), ()
    if tracker.streak_fail < strikes:
        return replace(tracker, state=State.SUSPECT), ()
    return _stand(replace(tracker, state=State.DOWN), Standing.DOWN, began_at)


def _succeed(
    tracker: Tracker, rules: Rules, at: datetime, latency_ms: float
) -> tuple[Tracker, tuple[Shift, ...]]:
    began_at = tracker.streak_at if tracker.streak_ok and tracker.streak_at else at
    tracker = replace(
        tracker,
        streak_ok=tracker.streak_ok + 1,
        streak_fail=0,
        streak_at=began_at,
        slow=_slowness(tracker, rules, latency_ms),
    )
    was_down = tracker.standing is Standing.DOWN
    if was_down and tracker.streak_ok < rules.strikes_up:
        return replace(tracker, state=State.RECOVERING), ()
    is_slow = tracker.slow.bit_count() >= _SLOW_OF_RECENT
    state, standing = (State.DEGRADED, Standing.DEGRADED) if is_slow else (State.UP, Standing.UP)
    return _stand(replace(tracker, state=state), standing, began_at if was_down else at)


def _slowness(tracker: Tracker, rules: Rules, latency_ms: float) -> int:
    if rules.degraded_ms is None:
        return 0
    # A degraded target must become clearly faster, or it would flutter around the limit.
    factor = _HYSTERESIS if tracker.standing is Standing.DEGRADED else 1.0
    is_slow = latency_ms > rules.degraded_ms * factor
    return ((tracker.slow << 1) | is_slow) & _RECENT_MASK


def _stand(
    tracker: Tracker, standing: Standing, since: datetime
) -> tuple[Tracker, tuple[Shift, ...]]:
    if standing is tracker.standing:
        return tracker, ()
    since = max(since, tracker.since)
    shift = Shift(since, tracker.standing, standing)
    return replace(tracker, standing=standing, since=since), (shift,)
