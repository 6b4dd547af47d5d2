"""Store what the prober found: results, states, segments, incidents and alerts, all or nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import transaction

from core import leases
from core.actors import Actor
from reliability.models import Check, CheckState, Sample, StateSegment
from reliability.selectors import configuration
from reliability.services import answers, news, overlays, standings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from core.leases import Held
    from reliability.engine.batch import Batch, Flip
    from reliability.engine.probe import Result
    from reliability.engine.strikes import Tracker

PROBER: Final = Actor.schedule("uptime checks")

_INSERTED_AT_ONCE: Final = 1000
_STATE_FIELDS: Final = (
    "state",
    "standing",
    "since",
    "streak_ok",
    "streak_fail",
    "streak_at",
    "slow",
    "changes",
    "is_flapping",
    "cert_not_after",
    "cert_fingerprint",
    "cert_warned",
    "last_at",
    "last_code",
    "last_ms",
    "last_failure",
    "last_detail",
)


class _Known(NamedTuple):
    """What storing needs to know of a check."""

    pk: int
    version: int
    service_id: int
    kind: str
    tls_min_days: int


@dataclass(frozen=True, slots=True)
class _Overlay:
    """What a check shows beside its state, and whether that is news."""

    not_after: datetime | None
    fingerprint: str
    warns: bool
    flapping_turned: bool
    warning_turned: bool

    @property
    def is_told(self) -> bool:
        return self.flapping_turned or self.warning_turned


@transaction.atomic
def store(*, batch: Batch, held: Held, is_old: bool = False) -> set[int]:
    """Store a batch and return the checks whose stored configuration is another one by now.

    The lease fences the transaction: a prober that was replaced stores nothing and gets
    LeaseLostError. What belongs to another configuration is left out, apart from the results
    themselves, and of a batch that `is_old` what somebody found more of since. A batch that is
    stored twice changes nothing the second time.
    """
    leases.fence(held)
    rows = CheckState.objects.select_for_update().filter(pk__in=batch.check_ids).order_by("pk")
    locked = {state.pk: state for state in rows}
    found = Check.objects.filter(pk__in=locked, enabled=True)
    known = {
        row.pk: row
        for row in (
            _Known(*values)
            for values in found.values_list(
                "pk", "config_version", "service_id", "kind", "tls_min_days"
            )
        )
    }
    stale = {key for key, (version, _) in batch.trackers.items() if not _is_of(known, key, version)}
    stored: set[int] = set()
    if is_old:
        stored = {key for key in batch.trackers if _is_stored(batch, locked, key)}
        stale |= stored | {key for key in batch.trackers if _is_older(batch, locked, key)}
    stale |= _contradicting(batch, locked.keys() - stale)
    store_samples(
        result
        for result in batch.results
        if result.check_id in locked and result.check_id not in stored
    )
    latest = {result.check_id: result for result in batch.results}
    flips = [
        flip
        for flip in batch.flips
        if _is_of(known, flip.check_id, flip.config_version)
        and flip.check_id in batch.trackers
        and flip.check_id not in stale
    ]
    flips.sort(key=lambda flip: (known[flip.check_id].service_id, flip.check_id))
    overlaid = [
        (key, tracker, _overlay(locked[key], known[key], tracker, latest.get(key)))
        for key, (_, tracker) in batch.trackers.items()
        if key not in stale
    ]
    changed = [(key, tracker, overlay) for key, tracker, overlay in overlaid if overlay.is_told]
    # An alert needs no headers, which perhaps nobody can open just now.
    named = Check.objects.select_related("service").defer("headers")
    checks = named.in_bulk({flip.check_id for flip in flips} | {key for key, _, _ in changed})
    stale |= _tell(changed, flips, checks, locked)
    for key, tracker, _ in overlaid:
        if key not in stale and locked[key].state != tracker.state:
            service_id = known[key].service_id
            news.service_changed(service_id=service_id, check_id=key, state=tracker.state)
    _save_states(
        [
            _filled(locked[key], tracker, latest.get(key), overlay)
            for key, tracker, overlay in overlaid
            if key not in stale
        ]
    )
    return stale


def _is_of(known: dict[int, _Known], key: int, version: int) -> bool:
    """Tell whether a check still has the configuration that it was asked by."""
    return key in known and known[key].version == version


def _is_older(batch: Batch, locked: dict[int, CheckState], key: int) -> bool:
    """Tell whether somebody else has found more since."""
    _, tracker = batch.trackers[key]
    state = locked[key]
    return state.last_at is not None and (
        tracker.last_at is None or tracker.last_at < state.last_at
    )


def _is_stored(batch: Batch, locked: dict[int, CheckState], key: int) -> bool:
    """Tell whether just this was stored before: a stop came before the file was marked.

    Results that have been packed meanwhile would be counted once more.
    """
    _, tracker = batch.trackers[key]
    state = locked.get(key)
    return state is not None and tracker == configuration.tracker_of(state)


def _contradicting(batch: Batch, keys: set[int]) -> set[int]:
    """Return the checks whose memory is not what their open segment and the flips make.

    A state without its segment would hide an outage for ever. The check is read anew, and what
    its segment says counts.
    """
    rows = StateSegment.objects.filter(check_of__in=keys, ended_at=None)
    standing = dict(rows.values_list("check_of", "standing"))
    for flip in batch.flips:
        if standing.get(flip.check_id) == flip.shift.before:
            standing[flip.check_id] = flip.shift.after.value
    return {
        key
        for key, (_, tracker) in batch.trackers.items()
        if key in standing and standing[key] != tracker.standing
    }


def _overlay(state: CheckState, known: _Known, tracker: Tracker, latest: Result | None) -> _Overlay:
    """Return what is to be told of a check beside its state."""
    not_after, fingerprint = state.cert_not_after, state.cert_fingerprint
    if latest is not None and latest.certificate is not None:
        not_after = latest.certificate.not_after
        fingerprint = latest.certificate.fingerprint
    elif latest is not None and latest.ok:
        # It answered, and showed none.
        not_after, fingerprint = None, ""
    warns = known.kind == Check.Kind.HTTP and overlays.ends_soon(
        not_after=not_after,
        min_days=known.tls_min_days,
        at=tracker.last_at or tracker.since,
    )
    return _Overlay(
        not_after,
        fingerprint,
        warns=warns,
        flapping_turned=tracker.is_flapping is not state.is_flapping,
        warning_turned=warns is not state.cert_warned,
    )


def _tell_overlay(check: Check, tracker: Tracker, overlay: _Overlay) -> None:
    at = tracker.last_at or tracker.since
    if overlay.flapping_turned:
        overlays.flapping_changed(actor=PROBER, check=check, is_flapping=tracker.is_flapping, at=at)
    if overlay.warning_turned:
        overlays.certificate_changed(
            actor=PROBER, check=check, not_after=overlay.not_after, ends_soon=overlay.warns, at=at
        )


def store_samples(results: Iterable[Result], *, manual: bool = False) -> None:
    """Insert results; what a failed one answered is masked first.

    A probe that could not be made says nothing about its target: it is no result of it, and shown
    only to whoever asked.
    """
    Sample.objects.bulk_create(
        (_sample(result, manual=manual) for result in results if manual or not result.is_unknown),
        batch_size=_INSERTED_AT_ONCE,
        # A flush may be repeated after a commit whose confirmation was lost.
        ignore_conflicts=True,
    )


def _sample(result: Result, *, manual: bool) -> Sample:
    return Sample(
        check_of_id=result.check_id,
        at=result.at,
        ok=result.ok,
        manual=manual,
        status_code=result.status_code,
        failure=result.failure or "",
        detail=answers.detail(result.detail),
        latency_ms=result.latency_ms,
        dns_ms=result.phases.dns_ms,
        connect_ms=result.phases.connect_ms,
        tls_ms=result.phases.tls_ms,
        first_byte_ms=result.phases.first_byte_ms,
        excerpt=answers.kept(result.excerpt),
    )


def _tell(
    changed: list[tuple[int, Tracker, _Overlay]],
    flips: list[Flip],
    checks: dict[int, Check],
    locked: dict[int, CheckState],
) -> set[int]:
    """Tell what is news of each check, service by service, as everybody takes their turns.

    Return the checks whose stored past is another one.
    """
    overlaid = {key: (tracker, overlay) for key, tracker, overlay in changed}
    by_check: defaultdict[int, list[Flip]] = defaultdict(list)
    for flip in flips:
        by_check[flip.check_id].append(flip)
    stale: set[int] = set()
    for key in sorted({*overlaid, *by_check}, key=lambda key: (checks[key].service_id, key)):
        # What flaps is told before it turns: then nobody is told of the turn.
        if key in overlaid:
            _tell_overlay(checks[key], *overlaid[key])
        if not _apply(by_check.get(key, []), checks[key], locked[key]):
            stale.add(key)
    return stale


def _apply(flips: list[Flip], check: Check, state: CheckState) -> bool:
    """Write the shifts of a check in their order; False if its stored past is another one."""
    return all(
        standings.turn(
            actor=PROBER, check=check, state=state, change=flip.shift, result=flip.result
        )
        for flip in flips
    )


def _filled(
    state: CheckState, tracker: Tracker, latest: Result | None, overlay: _Overlay
) -> CheckState:
    state.state = tracker.state
    state.standing = tracker.standing
    state.since = tracker.since
    state.streak_ok = tracker.streak_ok
    state.streak_fail = tracker.streak_fail
    state.streak_at = tracker.streak_at
    state.slow = tracker.slow
    state.changes = tracker.changes
    state.is_flapping = tracker.is_flapping
    state.cert_not_after = overlay.not_after
    state.cert_fingerprint = overlay.fingerprint
    state.cert_warned = overlay.warns
    state.last_at = tracker.last_at
    if latest is not None:
        state.last_code = latest.status_code
        state.last_ms = latest.latency_ms
        state.last_failure = latest.failure or ""
        state.last_detail = answers.detail(latest.detail)
    return state


def _save_states(rows: list[CheckState]) -> None:
    """Write many rows by one statement; the locks make sure that each exists."""
    CheckState.objects.bulk_create(
        rows,
        batch_size=_INSERTED_AT_ONCE,
        update_conflicts=True,
        unique_fields=["check_of"],
        update_fields=_STATE_FIELDS,
    )
