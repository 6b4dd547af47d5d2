"""The prober: keeps every check on its beat, with bounded concurrency and a bounded buffer."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import aiohttp

from reliability.engine.batch import Batch
from reliability.engine.connectivity import OFFLINE, Connectivity, Mass
from reliability.engine.lateness import Lateness
from reliability.engine.pauses import Pauses
from reliability.engine.probe import Failure, Result, Target, probe
from reliability.engine.schedule import Schedule, next_turn
from reliability.engine.strikes import Shift, State, Tracker, advance, lose

logger = logging.getLogger(__name__)

PER_HOST = 4
# A result outlives one interval by half of it, so a check that waits no longer is not late.
MOST_WAIT_INTERVALS = 0.5
# However many checks hang at one host, the others keep the rest of the places.
MOST_PER_HOST = 0.5
# So often, at the least, somebody looks at the clocks.
TURN_SECONDS = 1.0

_UNDECIDED = frozenset({State.SUSPECT, State.RECOVERING})


@dataclass(slots=True)
class _Watch:
    target: Target
    tracker: Tracker
    host: str


class Prober:
    """Probes every check on its beat; one event loop, no database.

    `run` starts what is due, `take` hands over what was found, `replace` and `forget` change what
    is watched. Nothing here survives the process: the stored states do.

    A host has few places. Only when its checks wait for so long that their results would expire
    it gets more, up to half of all: many checks of one hanging host must find it down in time.

    A failure counts against its target only if the fault is not ours: not after a pause of the
    machine, and not while most targets fail and no anchor can be reached.
    """

    def __init__(
        self,
        client: aiohttp.ClientSession,
        *,
        limit: int,
        per_host: int = PER_HOST,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        connectivity: Connectivity | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._client = client
        self._connectivity = connectivity or Connectivity(client)
        self._mass = Mass()
        self._pauses = pauses or Pauses()
        self._network_look: asyncio.Task[None] | None = None
        self.lateness = Lateness()
        self.offline_since: datetime | None = None
        self._limit = limit
        self._per_host = per_host
        self._now = now
        self._watches: dict[int, _Watch] = {}
        self._schedule = Schedule()
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        # Checks that wait for a place at their host, in order, with the moment they were due.
        self._queued: defaultdict[str, dict[int, float]] = defaultdict(dict)
        self.pending = Batch()
        self._is_full = False
        self._changed = asyncio.Event()
        # The wall clock may jump; the distance to the monotonic one is taken once.
        self._epoch = time.time() - time.monotonic()
        self.worst_lag_seconds = 0.0

    @property
    def versions(self) -> Mapping[int, int]:
        """The configuration version of every watched check."""
        return {key: watch.target.config_version for key, watch in self._watches.items()}

    def replace(self, watches: Iterable[tuple[Target, Tracker]], *, at_once: bool) -> None:
        """Watch these checks, new or changed; at once, or each at its regular moment.

        A check without any result does not wait. Memory of a check that changed is replaced.
        """
        now = time.monotonic()
        for target, tracker in watches:
            key = target.check_id
            self._unqueue(key)
            self._watches[key] = _Watch(target, tracker, target.host)
            is_due = at_once or tracker.last_at is None
            self._schedule.put(key, now if is_due else self._turn(target, now))
        self._changed.set()

    def forget(self, keys: Iterable[int]) -> None:
        """Stop watching; a probe under way is finished, and its result thrown away."""
        for key in keys:
            self._unqueue(key)
            self._watches.pop(key, None)
            self._schedule.drop(key)
            self.pending.drop(key)

    async def run(self, *, until: float) -> None:
        """Start probes at their due moments up to a moment of the monotonic clock."""
        if self._network_look is None:
            # The name servers prove that they are there while all is well.
            self._look_at_network()
        while (now := time.monotonic()) < until:
            self._look_at_clocks()
            if self.offline_since is not None:
                self._look_at_network()
            self.lateness.look(now)
            self._changed.clear()
            self._is_full = self._start_due(now)
            due = None if self._is_full else self._schedule.next_due()
            wake = min(until, now + TURN_SECONDS, until if due is None else due)
            await _wait(self._changed, wake - time.monotonic())

    async def close(self) -> None:
        """Abandon the probes under way and end the session."""
        self._queued.clear()
        tasks = [*self._running, *([self._network_look] if self._network_look else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connectivity.close()
        await self._client.close()

    def take(self) -> Batch:
        """Hand over what was found since the last time."""
        batch, self.pending = self.pending, Batch()
        return batch

    def put_back(self, batch: Batch) -> None:
        """Keep a batch that could not be stored for the next attempt."""
        for key in batch.trackers.keys() - self._watches.keys():
            batch.drop(key)
        self.pending.prepend(batch)

    def _start_due(self, now: float) -> bool:
        """Start what is due and return whether the limit stopped it."""
        self._start_overdue(now)
        while len(self._running) < self._limit:
            due = self._schedule.next_due()
            key = self._schedule.pop(now)
            if key is None or due is None:
                return False
            watch = self._watches[key]
            host = watch.host
            if not self._pauses.spoiled(due):
                interval = watch.target.rules.interval_seconds
                self.lateness.note(late=now - due, interval=interval, now=now)
            if self._busy[host] < self._per_host:
                self._start(key, host, due)
            else:
                self._queued[host][key] = due
        return True

    def _start_overdue(self, now: float) -> None:
        """Start beyond the host's places what has waited there for too long."""
        for host, waiting in self._queued.items():
            most = max(self._per_host, int(MOST_PER_HOST * self._limit))
            while waiting and self._busy[host] < most and len(self._running) < self._limit:
                key, due = next(iter(waiting.items()))
                interval = self._watches[key].target.rules.interval_seconds
                if now - due < MOST_WAIT_INTERVALS * interval:
                    break
                del waiting[key]
                self._start(key, host, due)

    def _start(self, key: int, host: str, due: float) -> None:
        late = max(0.0, time.monotonic() - due)
        self.worst_lag_seconds = max(self.worst_lag_seconds, late)
        self._busy[host] += 1
        task = asyncio.create_task(self._probe(self._watches[key], host, late))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _probe(self, watch: _Watch, host: str, late: float) -> None:
        key = watch.target.check_id
        began = time.monotonic()
        again = False
        try:
            result = await probe(self._client, watch.target, at=self._now())
            self._look_at_clocks()
            # A time limit that passed while everything stood still proves nothing.
            again = not result.ok and self._pauses.spoiled(began)
            if not again:
                result = await self._weighed(result)
                if self._watches.get(key) is watch:
                    self._note(watch, result, late)
        except Exception:
            # A defect of ours must not end the beat of this check, nor count against its target.
            logger.exception("The probe of check %s failed by itself.", key)
        finally:
            if self._watches.get(key) is watch:
                self._schedule.put(key, time.monotonic() if again else self._next(watch))
                if again:
                    self._changed.set()
            self._release(host)

    async def _weighed(self, result: Result) -> Result:
        """Return the result, or that nothing can be said if the fault is our own network's."""
        if result.is_unknown:
            return result
        self._mass.note(result.check_id, ok=result.ok, now=time.monotonic())
        if result.ok or not self._mass.is_suspicious(time.monotonic()):
            return result
        is_online = await self._connectivity.is_online()
        self._note_network(is_online=is_online, at=result.at)
        if is_online:
            return result
        return unknown(result)

    def _look_at_network(self) -> None:
        """Ask in the background whether the network is there."""
        if self._network_look is None or self._network_look.done():
            self._network_look = asyncio.create_task(self._judge_network())

    async def _judge_network(self) -> None:
        is_online = await self._connectivity.is_online()
        if is_online or self.offline_since is not None:
            self._note_network(is_online=is_online, at=self._now())

    def _note_network(self, *, is_online: bool, at: datetime) -> None:
        if is_online:
            self.offline_since = None
        elif self.offline_since is None:
            self.offline_since = at

    def _look_at_clocks(self) -> None:
        if seconds := self._pauses.look():
            logger.warning(
                "The prober stood still for %.0f s; what failed meanwhile is asked again.", seconds
            )

    def _note(self, watch: _Watch, result: Result, late: float) -> None:
        watch.tracker, shifts = judged(watch.target, watch.tracker, result, late_seconds=late)
        self.pending.note(watch.target, watch.tracker, shifts, result)

    def _unqueue(self, key: int) -> None:
        """Take a check out of the queue of its host; its next target may have another one.

        A check is due in the schedule, waits in one queue or runs. Were it in two of these, one
        moment would count as two strikes.
        """
        watch = self._watches.get(key)
        if watch is not None and (waiting := self._queued.get(watch.host)):
            waiting.pop(key, None)

    def _release(self, host: str) -> None:
        """Give the place to the next check that waits for this host."""
        self._busy[host] -= 1
        if waiting := self._queued.get(host):
            key, due = next(iter(waiting.items()))
            del waiting[key]
            self._start(key, host, due)
        if not self._busy[host]:
            del self._busy[host]
            self._queued.pop(host, None)
        if self._is_full:
            self._changed.set()

    def _next(self, watch: _Watch) -> float:
        now = time.monotonic()
        turn = self._turn(watch.target, now)
        if watch.tracker.state in _UNDECIDED:
            return min(turn, now + watch.target.retry_seconds)
        return turn

    def _turn(self, target: Target, now: float) -> float:
        interval = target.rules.interval_seconds
        return next_turn(target.check_id, interval, after=now + self._epoch) - self._epoch


def judged(
    target: Target, tracker: Tracker, result: Result, *, late_seconds: float = 0.0
) -> tuple[Tracker, tuple[Shift, ...]]:
    """Return what a result makes of the memory of its check, with the shifts it caused."""
    if result.is_unknown:
        return lose(tracker, target.rules, at=result.at)
    return advance(
        tracker,
        target.rules,
        ok=result.ok,
        at=result.at,
        latency_ms=result.latency_ms,
        late_seconds=late_seconds,
        is_definite=result.is_definite,
    )


def unknown(result: Result) -> Result:
    """Return the result of a probe that failed for want of a network: it says nothing."""
    return replace(
        result,
        failure=Failure.SETUP,
        detail=OFFLINE,
        excerpt="",
        status_code=None,
        is_definite=False,
    )


async def probe_once(
    client: aiohttp.ClientSession,
    targets: Iterable[Target],
    *,
    limit: int,
    per_host: int = PER_HOST,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    tell: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Probe every target once, now, within the same limits; results come in the targets' order.

    `tell` gets each result as soon as it is there.
    """
    places = asyncio.Semaphore(limit)
    places_at: defaultdict[str, asyncio.Semaphore] = defaultdict(
        lambda: asyncio.Semaphore(per_host)
    )

    async def one(target: Target) -> Result:
        # The place at the host comes first: a slow host must not hold all places of the others.
        async with places_at[target.host], places:
            result = await probe(client, target, at=now())
        tell(result)
        return result

    return await asyncio.gather(*(one(target) for target in targets))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but not longer; other tasks run in any case."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
