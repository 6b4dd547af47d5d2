"""Why nobody is told of an alert: a parent that is down, maintenance, flapping."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from reliability.engine import rules
from reliability.engine.strikes import Rules, Standing, State
from reliability.models import Alert, Check, CheckState
from reliability.models.checks import RETRY_SECONDS
from reliability.selectors import maintenance

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

PARENT: Final = "parent: "
MAINTENANCE: Final = "maintenance: "
FLAPPING: Final = "flapping"
FURTHEST: Final = timedelta(seconds=90)
"""How long an alert waits at most for the next probe of a parent."""

LONGEST: Final = timedelta(minutes=5)
"""How long it waits at most for a parent that fails to be held to be down."""

# What a parent or flapping explains; a certificate expires all the same.
_EXPLAINED: Final = frozenset({rules.CHECK_DOWN.name, rules.HEARTBEAT_OVERRUN.name})


def reasons(alerts: Collection[Alert], *, now: datetime | None = None) -> dict[int, str]:
    """Return for each alert that must not be told just now why, by its id.

    A handful of queries, whatever the number of alerts.
    """
    moment = now or timezone.now()
    explained = [alert for alert in alerts if alert.rule in _EXPLAINED and alert.check_of_id]
    found = _maintained(alerts, moment)
    found |= _flapping(explained)
    found |= _orphaned(explained, moment)
    return found


def _maintained(alerts: Iterable[Alert], moment: datetime) -> dict[int, str]:
    by_service: defaultdict[int, list[int]] = defaultdict(list)
    for alert in alerts:
        if alert.service_id is not None:
            by_service[alert.service_id].append(alert.pk)
    found = {}
    for service_id in maintenance.holds_for(list(by_service), at=moment):
        window = maintenance.holding(service_id, at=moment)
        title = window.title if window is not None else ""
        for key in by_service[service_id]:
            found[key] = f"{MAINTENANCE}{title}"[:200]
    return found


def _flapping(alerts: Collection[Alert]) -> dict[int, str]:
    flapping = set(
        Alert.objects.exclude(state=Alert.State.RESOLVED)
        .filter(
            rule=rules.CHECK_FLAPPING.name, check_of__in={alert.check_of_id for alert in alerts}
        )
        .values_list("check_of", flat=True)
    )
    return {alert.pk: FLAPPING for alert in alerts if alert.check_of_id in flapping}


def _orphaned(alerts: Collection[Alert], moment: datetime) -> dict[int, str]:
    parents: defaultdict[int, list[int]] = defaultdict(list)
    links = Check.parents.through.objects.filter(
        from_check__in={alert.check_of_id for alert in alerts}, to_check__enabled=True
    )
    for child_id, parent_id in links.values_list("from_check", "to_check"):
        parents[child_id].append(parent_id)
    if not parents:
        return {}
    wanted = {*parents, *(key for keys in parents.values() for key in keys)}
    states = {
        state.pk: state
        for state in CheckState.objects.filter(pk__in=wanted)
        .select_related("check_of__service")
        .defer("check_of__headers")
    }
    found = {}
    for alert in alerts:
        child = states.get(alert.check_of_id or 0)
        for key in sorted(parents.get(alert.check_of_id or 0, [])):
            parent = states.get(key)
            if child and parent and (why := _because_of(parent, child, alert, moment)):
                found[alert.pk] = f"{PARENT}{parent.check_of} {why}"[:200]
                break
    return found


def _because_of(parent: CheckState, child: CheckState, alert: Alert, moment: datetime) -> str:
    """Return what a parent has to do with an alert of its child, if anything."""
    is_known = _is_known(parent, moment)
    if parent.standing == Standing.DOWN and is_known:
        return "is down"
    if parent.streak_fail and is_known and moment < _judged_at(parent):
        return "fails too"
    is_early = moment < alert.starts_at + FURTHEST
    if is_early and parent.last_at is not None and parent.last_at < alert.starts_at:
        return "was not asked since"
    if alert.suppressed_by.startswith(PARENT) and _comes_after(parent, child, moment):
        return "is up again, and this is not asked since"
    return ""


def _is_known(parent: CheckState, moment: datetime) -> bool:
    """Whether what was found of a parent last still holds; what nobody asks explains nothing."""
    if parent.last_at is None:
        return False
    rhythm = parent.check_of
    validity = Rules(rhythm.interval_seconds, rhythm.timeout_seconds).validity
    return moment <= max(parent.valid_until or parent.last_at + validity, parent.since)


def _judged_at(parent: CheckState) -> datetime:
    """Return until when a parent may need its strikes, which may be longer than its child did."""
    rhythm = parent.check_of
    retry = rhythm.retry_interval_seconds or min(rhythm.interval_seconds, RETRY_SECONDS)
    needed = timedelta(seconds=rhythm.strikes_down * (retry + rhythm.timeout_seconds))
    patience = min(needed, LONGEST)
    return (parent.streak_at or parent.last_at or parent.since) + patience


def _comes_after(parent: CheckState, child: CheckState, moment: datetime) -> bool:
    """Whether a child may yet come up after its parent did."""
    if child.state == State.RECOVERING:
        return True
    rhythm = child.check_of
    patience = timedelta(seconds=rhythm.interval_seconds + rhythm.timeout_seconds)
    was_asked = child.last_at is not None and child.last_at > parent.since
    return not was_asked and moment < parent.since + patience
