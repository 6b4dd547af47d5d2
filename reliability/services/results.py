"""Store what the prober found: results, states, segments, incidents and alerts, all or nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from django.db import transaction

from core import leases
from core.actors import Actor
from reliability.models import Check, CheckState, Sample
from reliability.services import answers, news, standings

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    "last_at",
    "last_code",
    "last_ms",
    "last_failure",
    "last_detail",
)


@transaction.atomic
def store(*, batch: Batch, held: Held) -> set[int]:
    """Store a batch and return the checks whose stored configuration is another one by now.

    The lease fences the transaction: a prober that was replaced stores nothing and gets
    LeaseLostError. What belongs to another configuration is left out, apart from the results
    themselves. A batch that is stored twice changes nothing the second time.
    """
    leases.fence(held)
    rows = CheckState.objects.select_for_update().filter(pk__in=batch.check_ids).order_by("pk")
    locked = {state.pk: state for state in rows}
    found = Check.objects.filter(pk__in=locked, enabled=True)
    known = {
        key: (version, service_id)
        for key, version, service_id in found.values_list("pk", "config_version", "service_id")
    }
    versions = {key: version for key, (version, _) in known.items()}
    stale = {key for key, (version, _) in batch.trackers.items() if versions.get(key) != version}
    store_samples(result for result in batch.results if result.check_id in locked)
    flips = [flip for flip in batch.flips if versions.get(flip.check_id) == flip.config_version]
    stale |= _apply(flips, locked)
    latest = {result.check_id: result for result in batch.results}
    for key, (_, tracker) in batch.trackers.items():
        if key not in stale and locked[key].state != tracker.state:
            _, service_id = known[key]
            news.service_changed(service_id=service_id, check_id=key, state=tracker.state)
    _save_states(
        [
            _filled(locked[key], tracker, latest.get(key))
            for key, (_, tracker) in batch.trackers.items()
            if key not in stale
        ]
    )
    return stale


def store_samples(results: Iterable[Result], *, manual: bool = False) -> None:
    """Insert results; what a failed one answered is masked first."""
    Sample.objects.bulk_create(
        (_sample(result, manual=manual) for result in results),
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


def _apply(flips: list[Flip], locked: dict[int, CheckState]) -> set[int]:
    """Write the shifts in their order; return the checks whose stored past is another one."""
    # An incident needs no headers, which perhaps nobody can open just now.
    found = Check.objects.select_related("service").defer("headers")
    checks = found.in_bulk({flip.check_id for flip in flips})
    stale: set[int] = set()
    by_check: defaultdict[int, list[Flip]] = defaultdict(list)
    for flip in flips:
        by_check[flip.check_id].append(flip)
    for key, its_flips in by_check.items():
        for flip in its_flips:
            turned = standings.turn(
                actor=PROBER,
                check=checks[key],
                state=locked[key],
                change=flip.shift,
                result=flip.result,
            )
            if not turned:
                stale.add(key)
                break
    return stale


def _filled(state: CheckState, tracker: Tracker, latest: Result | None) -> CheckState:
    state.state = tracker.state
    state.standing = tracker.standing
    state.since = tracker.since
    state.streak_ok = tracker.streak_ok
    state.streak_fail = tracker.streak_fail
    state.streak_at = tracker.streak_at
    state.slow = tracker.slow
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
