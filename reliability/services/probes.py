"""Run the prober: read the configuration, let it probe, store what it finds."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings

from core import leases
from core.drill import refuse_in_drill
from core.http import Allow, Policy, session
from core.leases import LeaseLostError
from core.loops import in_thread
from reliability.engine.batch import Batch
from reliability.engine.connectivity import LEAST_FAILING, Connectivity
from reliability.engine.prober import Prober, judged, probe_once, unknown
from reliability.engine.spill import Spill
from reliability.selectors import configuration
from reliability.services import flushing, prober_alerts

if TYPE_CHECKING:
    import aiohttp

    from core.leases import Held
    from reliability.engine.probe import Result, Target
    from reliability.engine.strikes import Tracker

logger = logging.getLogger(__name__)

LEASE: Final = "reliability.probes"
LEASE_SECONDS: Final = 30
REFRESH_SECONDS: Final = 5
UNREADABLE_SECONDS: Final = 60
MOST_PROBES: Final = 4000

BUFFER_SECONDS: Final = 300
BUFFER_RESULTS: Final = 30_000
SPILL_FILE: Final = "probes.spill"

# Beat's tick comes each minute: a check is due for the stand-in when its interval is nearly over.
_EARLY: Final = timedelta(seconds=5)


def open_session() -> aiohttp.ClientSession:
    """Open the guarded session of all checks; needs a running event loop.

    Raises NotConfiguredError in a copy for a drill.
    """
    refuse_in_drill()
    return session(Policy.MONITOR, Allow.parse(settings.OPS_OUTGOING_ALLOW))


def concurrency() -> int:
    """Return how many probes may be under way, given the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_PROBES if soft == resource.RLIM_INFINITY else int(0.6 * soft)
    return max(1, min(MOST_PROBES, files))


def anchors() -> list[tuple[str, int]]:
    """Return OPS_PROBE_ANCHORS; what cannot be read is logged and left out."""
    found = []
    for item in settings.OPS_PROBE_ANCHORS:
        host, _, port = item.strip().rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if bare and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16:
            found.append((bare, int(port)))
        else:
            logger.warning("OPS_PROBE_ANCHORS: %r is no host:port and is left out.", item)
    return found


class ProbeLoop:
    """The loop's memory: a prober that goes on between slices.

    A slice reads the configuration when it is time and stores what was found. The database may
    be away: probing goes on, results wait in a bounded buffer, after five minutes in a file, which
    the next start reads too. Flips are kept in any case. When no slice has come for as long as the
    lease lasts, nothing new is started.
    """

    def __init__(self) -> None:
        self._prober: Prober | None = None
        self._held: Held | None = None
        self._probing: asyncio.Task[None] | None = None
        self._alive_until = 0.0
        self._refresh_at = 0.0
        self._is_first_read = True
        self._away_since: float | None = None
        self._spill = _spill()
        # What was told of the prober itself; None before the first look.
        self._told_offline: bool | None = None
        self._told_late: bool | None = None
        self._unreadable: dict[int, int] = {}
        self._unreadable_until = 0.0

    async def __call__(self, held: Held) -> None:
        """Run one slice."""
        self._held = held
        now = time.monotonic()
        self._alive_until = now + LEASE_SECONDS
        if self._prober is None:
            client = open_session()
            connectivity = Connectivity(client, anchors())
            self._prober = Prober(client, limit=concurrency(), connectivity=connectivity)
        try:
            if self._spill:
                await self._restore(held)
            if now >= self._refresh_at:
                await self._refresh(self._prober)
                self._refresh_at = now + REFRESH_SECONDS
            await self._flush(self._prober, held)
            await self._tell_of_itself(self._prober)
        except flushing.AWAY as error:
            self._tell_away(error)
            await self._keep(self._prober)
        else:
            self._tell_away(None)
        if self._probing is not None and self._probing.done():
            # A defect ends this slice, so that the daemon logs it and begins anew.
            self._probing.result()
            self._probing = None
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe(self._prober))

    async def drain(self) -> None:
        """Return at once: probes under way may be abandoned, the next holder asks again."""

    async def close(self) -> None:
        """Stop probing and store what was found; probes under way are abandoned."""
        prober, self._prober = self._prober, None
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        if prober is not None:
            await prober.close()
            await self._flush_last(prober)

    async def _flush_last(self, prober: Prober) -> None:
        """Store what waits, unless another prober or nobody can by now; the next one goes on."""
        count = len(prober.pending.results)
        if self._held is None or not prober.pending:
            return
        try:
            if self._spill:
                # What waits in the file is older: stored later it would be taken for outdated.
                await self._restore(self._held)
            await self._flush(prober, self._held)
        except LeaseLostError:
            logger.warning("Another prober took over; %s last results are dropped.", count)
        except flushing.AWAY as error:
            logger.warning("The database is away; %s last results wait in a file: %s", count, error)
            await self._put_away(prober)

    def _tell_away(self, error: Exception | None) -> None:
        """Log the change, not each second of it."""
        if error is not None and self._away_since is None:
            self._away_since = time.monotonic()
            logger.warning("The database is away; results wait: %s", error)
        elif error is None and self._away_since is not None:
            self._away_since = None
            logger.warning("The database is back; what waited was stored.")

    async def _keep(self, prober: Prober) -> None:
        """While the database is away: in memory at first, then in a file."""
        since = self._away_since or time.monotonic()
        is_long = time.monotonic() - since >= BUFFER_SECONDS
        if is_long or len(prober.pending.results) >= BUFFER_RESULTS:
            await self._put_away(prober)

    async def _put_away(self, prober: Prober) -> None:
        """Write to the file what waits; what the disk does not take goes on waiting."""
        batch = prober.take()
        if not batch:
            return
        try:
            dropped = await in_thread(self._spill.add, flushing.masked(batch))
        except OSError as error:
            logger.warning("What was found cannot be written to a file: %s", error.strerror)
            prober.put_back(batch)
            return
        if dropped:
            logger.warning("The file is full; %s results were dropped, no flips.", dropped)

    async def _restore(self, held: Held) -> None:
        """Store what waits in the file, as far as nobody has found more since."""
        await in_thread(_restore, self._spill, held)
        self._refresh_at = 0.0

    async def _tell_of_itself(self, prober: Prober) -> None:
        """Tell the change when the prober has no network or cannot keep up."""
        since = prober.offline_since
        if self._told_offline is not (since is not None):
            if since is not None:
                await in_thread(prober_alerts.offline, since=since)
            else:
                await in_thread(prober_alerts.online)
            self._told_offline = since is not None
        lateness = prober.lateness
        if self._told_late is not lateness.is_late:
            if lateness.is_late:
                await in_thread(prober_alerts.late, worst_seconds=lateness.worst_seconds)
            else:
                await in_thread(prober_alerts.punctual)
            self._told_late = lateness.is_late

    async def _probe(self, prober: Prober) -> None:
        while (now := time.monotonic()) < self._alive_until:
            await prober.run(until=min(now + 1, self._alive_until))

    async def _refresh(self, prober: Prober) -> None:
        stored = await in_thread(configuration.versions)
        known = prober.versions
        if (now := time.monotonic()) >= self._unreadable_until:
            self._unreadable.clear()
            self._unreadable_until = now + UNREADABLE_SECONDS
        prober.forget(known.keys() - stored.keys())
        changed = {
            key: version
            for key, version in stored.items()
            if version not in {known.get(key), self._unreadable.get(key)}
        }
        if changed:
            watches = await in_thread(configuration.watches, changed)
            prober.replace(watches, at_once=not self._is_first_read)
            if self._is_first_read:
                await in_thread(_settle)
            # What could not be read is left alone for a minute, or until somebody changes it.
            watched = prober.versions
            self._unreadable |= {k: v for k, v in changed.items() if k not in watched}
        self._is_first_read = False

    async def _flush(self, prober: Prober, held: Held) -> None:
        batch = prober.take()
        waiting = list(flushing.parts(batch))
        try:
            while waiting:
                stale = await in_thread(flushing.store, waiting[0], held)
                del waiting[0]
                if stale:
                    prober.forget(stale)
                    self._refresh_at = 0.0
        finally:
            for part in reversed(waiting):
                prober.put_back(part)


def _settle() -> None:
    """Leave what was loaded out of every later search for garbage: it stays."""
    gc.collect()
    gc.freeze()


def _spill() -> Spill:
    return Spill(Path(settings.OPS_DATA_DIR) / SPILL_FILE)


def _restore(spill: Spill, held: Held) -> None:
    """Store what waits in the file; one that cannot be read must not keep anybody from probing."""
    try:
        count = flushing.restore(spill, held)
    except OSError as error:
        beside = spill.set_aside()
        logger.warning(
            "What waits in %s cannot be read (%s); %s. Make it readable for the platform's user, "
            "and give it its name back, if its results matter.",
            SPILL_FILE,
            error.strerror,
            f"it is called {beside.name} now" if beside else "it is left alone until a restart",
        )
        return
    logger.warning("%s results that waited in a file were stored.", count)


async def stand_in(held: Held) -> None:
    """Probe once what is overdue: what beat's tick does while no daemon runs.

    Strikes move as usual; retries come with the next tick. What the daemon has left comes first,
    and what it told of itself ends: its network and its lateness are no longer those that matter.
    """
    spill = _spill()
    if spill:
        await in_thread(_restore, spill, held)
    stored = await in_thread(configuration.versions)
    found = await in_thread(configuration.watches, stored)
    watches = [watch for watch in found if _is_due(*watch)]
    began = datetime.now(UTC)
    found_now, is_online = await _probe_all([target for target, _ in watches], held)
    batch = _decided(watches, found_now, began=began)
    for part in flushing.parts(batch):
        await in_thread(flushing.store, part, held)
    if is_online:
        await in_thread(prober_alerts.online)
    elif is_online is not None:
        await in_thread(prober_alerts.offline, since=began)
    await in_thread(prober_alerts.punctual)


async def _probe_all(targets: list[Target], held: Held) -> tuple[list[Result], bool | None]:
    """Ask all once; return what they said, and whether there is a network, if that can be told.

    Without one, the failures of many say nothing about their targets.
    """
    if not targets:
        return [], None
    async with open_session() as client:
        probing = asyncio.create_task(probe_once(client, targets, limit=concurrency()))
        while not probing.done():
            await asyncio.wait({probing}, timeout=LEASE_SECONDS / 3)
            if not probing.done():
                await in_thread(leases.renew, held, seconds=LEASE_SECONDS)
        found = probing.result()
        if any(result.ok for result in found):
            return found, True
        connectivity = Connectivity(client, anchors())
        try:
            is_online = await connectivity.is_online()
        finally:
            await connectivity.close()
    if is_online or len(found) < LEAST_FAILING:
        return found, is_online
    return [result if result.is_unknown else unknown(result) for result in found], is_online


def _is_due(target: Target, tracker: Tracker) -> bool:
    if tracker.last_at is None:
        return True
    age = datetime.now(UTC) - tracker.last_at
    # A result of the future was found before the clock was set back.
    return not timedelta() <= age < timedelta(seconds=target.rules.interval_seconds) - _EARLY


def _decided(
    watches: list[tuple[Target, Tracker]], found: list[Result], *, began: datetime
) -> Batch:
    batch = Batch()
    for (target, before), result in zip(watches, found, strict=True):
        late = (result.at - began).total_seconds()
        tracker, shifts = judged(target, before, result, late_seconds=late)
        batch.note(target, tracker, shifts, result)
    return batch
