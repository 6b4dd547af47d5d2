"""What the prober needs to know of the checks: their configuration and their memory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.db.models import Q

from core.keyring import KeyringError
from reliability.engine import assertions
from reliability.engine.probe import KINDS, Target, parse_accept
from reliability.engine.strikes import Rules, Standing, State, Tracker
from reliability.models import Check
from reliability.models.checks import RETRY_SECONDS
from reliability.models.fields import parse_name_server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from reliability.models import CheckState

logger = logging.getLogger(__name__)

_LOOKED_AT: Final = 100


def versions() -> dict[int, int]:
    """Return the configuration version of every check that is on and asked by the prober."""
    asked = Check.objects.filter(kind__in=KINDS, enabled=True)
    return dict(asked.values_list("pk", "config_version"))


def targets(check_ids: Iterable[int] | None = None) -> list[Target]:
    """Return what the engine needs of these checks, or of all that are on."""
    wanted = Q(enabled=True) if check_ids is None else Q(pk__in=list(check_ids))
    found = Check.objects.filter(wanted, kind__in=KINDS).order_by("pk")
    return [target_of(check) for check in _readable(found)]


def watches(check_ids: Iterable[int]) -> list[tuple[Target, Tracker]]:
    """Return these checks with what they remember, as far as they are on and can be read."""
    wanted = Check.objects.filter(pk__in=list(check_ids), enabled=True, kind__in=KINDS)
    wanted = wanted.select_related("state")
    return [(target_of(check), tracker_of(check.state)) for check in _readable(wanted)]


def _readable(wanted: QuerySet[Check]) -> list[Check]:
    """Leave out checks whose headers do not unseal; the others must be watched all the same."""
    try:
        return list(wanted)
    except KeyringError:
        found = list(wanted.filter(headers=None))
        left_out: dict[int, str] = {}
        for key in wanted.exclude(headers=None).values_list("pk", flat=True):
            try:
                found += wanted.filter(pk=key)
            except KeyringError as error:
                left_out[key] = str(error)
        _tell_left_out(left_out)
        return sorted(found, key=lambda check: check.pk)


def _tell_left_out(left_out: dict[int, str]) -> None:
    """Log it once for all: with the keyring, every check that has headers is lost."""
    if left_out:
        logger.error(
            "The headers of %s checks do not unseal; restore the keyring or set them again: %s",
            len(left_out),
            ", ".join(sorted(set(left_out.values()))),
            extra={"checks": list(left_out)},
        )


def target_of(check: Check) -> Target:
    """Return what the engine needs to know about a check."""
    retry = check.retry_interval_seconds or min(check.interval_seconds, RETRY_SECONDS)
    return Target(
        check_id=check.pk,
        config_version=check.config_version,
        kind=check.kind,
        url=check.url,
        name=check.host,
        port=check.port,
        family=check.ip_family,
        rules=Rules(
            interval_seconds=check.interval_seconds,
            timeout_seconds=check.timeout_seconds,
            strikes_down=check.strikes_down,
            strikes_up=check.strikes_up,
            degraded_ms=check.degraded_ms,
            down_at_once=check.down_at_once,
        ),
        retry_seconds=retry,
        method=check.method,
        headers=check.headers or {},
        body=check.body,
        accept=parse_accept(check.accept),
        body_contains=check.body_contains,
        assertions=assertions.parse(check.assertions),
        follow_redirects=check.follow_redirects,
        verify_tls=check.tls_verify,
        tls_min_days=check.tls_min_days,
        dns_type=check.dns_type,
        dns_expected=frozenset(line for line in check.dns_expected.splitlines() if line.strip()),
        dns_server=parse_name_server(check.dns_server) if check.dns_server else None,
    )


def tracker_of(state: CheckState) -> Tracker:
    """Return what a check remembers between results."""
    return Tracker(
        since=state.since,
        state=State(state.state),
        standing=Standing(state.standing),
        streak_ok=state.streak_ok,
        streak_fail=state.streak_fail,
        streak_at=state.streak_at,
        last_at=state.last_at,
        slow=state.slow,
        changes=state.changes,
        is_flapping=state.is_flapping,
    )


def unreadable() -> int:
    """Return how many of the checks that are on cannot be asked: their headers do not unseal.

    Only some are looked at; where none of these opens, the key is gone, and all count.
    """
    sealed = Check.objects.filter(enabled=True).exclude(headers=None).order_by("pk")
    try:
        list(sealed.only("headers")[:_LOOKED_AT])
    except KeyringError:
        keys = list(sealed.values_list("pk", flat=True)[:_LOOKED_AT])
        closed = sum(not _unseals(key) for key in keys)
        return sealed.count() if closed == len(keys) else closed
    return 0


def _unseals(key: int) -> bool:
    try:
        Check.objects.only("headers").get(pk=key)
    except KeyringError:
        return False
    return True
