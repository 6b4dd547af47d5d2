"""What the prober needs to know of the checks: their configuration and their memory."""

from __future__ import annotations

import functools
import logging
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from django.db.models import OuterRef, Q, Subquery

from core.keyring import KeyringError
from reliability.engine import assertions
from reliability.engine.probe import KINDS, Target, parse_accept
from reliability.engine.strikes import Rules, Standing, State, Tracker
from reliability.models import Check, StateSegment
from reliability.models.checks import RETRY_SECONDS
from reliability.models.fields import parse_name_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet

    from reliability.models import CheckState

logger = logging.getLogger(__name__)

_LOOKED_AT: Final = 100
_AT_ONCE: Final = 1000
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

_ASKED: Final = (
    "pk",
    "config_version",
    "kind",
    "url",
    "host",
    "port",
    "ip_family",
    "interval_seconds",
    "timeout_seconds",
    "retry_interval_seconds",
    "strikes_down",
    "strikes_up",
    "degraded_ms",
    "down_at_once",
    "method",
    "headers",
    "body",
    "accept",
    "body_contains",
    "assertions",
    "follow_redirects",
    "tls_verify",
    "tls_min_days",
    "dns_type",
    "dns_expected",
    "dns_server",
)
_REMEMBERED: Final = (
    "segment",
    "segment_since",
    "state__since",
    "state__state",
    "state__standing",
    "state__streak_ok",
    "state__streak_fail",
    "state__streak_at",
    "state__last_at",
    "state__slow",
    "state__changes",
    "state__is_flapping",
)


def versions() -> dict[int, int]:
    """Return the configuration version of every check that is on and asked by the prober."""
    asked = Check.objects.filter(kind__in=KINDS, enabled=True)
    return dict(asked.values_list("pk", "config_version"))


def targets(check_ids: Iterable[int] | None = None) -> list[Target]:
    """Return what the engine needs of these checks, or of all that are on."""
    wanted = Q(enabled=True) if check_ids is None else Q(pk__in=list(check_ids))
    found = Check.objects.filter(wanted, kind__in=KINDS).order_by("pk")
    return [_target_of(row) for row in _readable(found, _ASKED)]


def watches(check_ids: Iterable[int]) -> list[tuple[Target, Tracker]]:
    """Return these checks with what they remember, as far as they are on and can be read.

    Where the state and the open segment say different things, the segment counts: it is what
    availability is computed from, and the next result begins from there.
    """
    keys = list(check_ids)
    is_open = StateSegment.objects.filter(check_of=OuterRef("pk"), ended_at=None)
    found: list[tuple[Target, Tracker]] = []
    for start in range(0, len(keys), _AT_ONCE):
        wanted = Check.objects.filter(
            pk__in=keys[start : start + _AT_ONCE], enabled=True, kind__in=KINDS
        ).annotate(
            segment=Subquery(is_open.values("standing")[:1]),
            segment_since=Subquery(is_open.values("started_at")[:1]),
        )
        rows = _readable(wanted.order_by("pk"), (*_ASKED, *_REMEMBERED))
        for row in rows:
            try:
                found.append((_target_of(row), _memory_of(row)))
            except ValueError:
                # What was stored before a rule was made must not keep the others unwatched.
                logger.exception("Check %s cannot be asked as it is stored; edit it.", row.pk)
    return found


def _readable(wanted: QuerySet[Check], names: tuple[str, ...]) -> list[Any]:
    """Leave out checks whose headers do not unseal; the others must be watched all the same.

    Rows have the attributes of a check: ten thousand models would cost more than what is kept.
    """
    rows = wanted.values_list(*names, named=True)
    try:
        return list(rows)
    except KeyringError:
        found = list(rows.filter(headers=None))
        left_out: dict[int, str] = {}
        for key in wanted.exclude(headers=None).values_list("pk", flat=True):
            try:
                found += rows.filter(pk=key)
            except KeyringError as error:
                left_out[key] = str(error)
        _tell_left_out(left_out)
        return sorted(found, key=lambda row: row.pk)


def _tell_left_out(left_out: dict[int, str]) -> None:
    """Log it once for all: with the keyring, every check that has headers is lost."""
    if left_out:
        logger.error(
            "The headers of %s checks do not unseal; restore the keyring or set them again: %s",
            len(left_out),
            ", ".join(sorted(set(left_out.values()))),
            extra={"checks": list(left_out)},
        )


def _target_of(check: Any) -> Target:  # noqa: ANN401  # a row with these attributes
    """Return what the engine needs to know about a check; what many have in common is shared."""
    retry = check.retry_interval_seconds or min(check.interval_seconds, RETRY_SECONDS)
    return Target(
        check_id=check.pk,
        config_version=check.config_version,
        kind=intern(check.kind),
        url=check.url,
        name=intern(check.host),
        port=check.port,
        family=intern(check.ip_family),
        rules=_rules(
            interval_seconds=check.interval_seconds,
            timeout_seconds=check.timeout_seconds,
            strikes_down=check.strikes_down,
            strikes_up=check.strikes_up,
            degraded_ms=check.degraded_ms,
            down_at_once=check.down_at_once,
        ),
        retry_seconds=retry,
        method=intern(check.method),
        headers=check.headers or NO_HEADERS,
        body=check.body,
        accept=_accepted(check.accept),
        body_contains=check.body_contains,
        assertions=assertions.parse(check.assertions) if check.assertions else (),
        follow_redirects=check.follow_redirects,
        verify_tls=check.tls_verify,
        tls_min_days=check.tls_min_days,
        dns_type=intern(check.dns_type),
        dns_expected=frozenset(line for line in check.dns_expected.splitlines() if line.strip()),
        dns_server=parse_name_server(check.dns_server) if check.dns_server else None,
    )


_rules = functools.lru_cache(maxsize=1024)(Rules)
_accepted = functools.lru_cache(maxsize=1024)(parse_accept)


def _memory_of(row: Any) -> Tracker:  # noqa: ANN401  # a row with these attributes
    """Return what a check remembers, as far as its segment does not say otherwise."""
    if row.segment is not None and row.segment != row.state__standing:
        standing = Standing(row.segment)
        return Tracker(since=row.segment_since, state=State(row.segment), standing=standing)
    return Tracker(
        since=row.state__since,
        state=State(row.state__state),
        standing=Standing(row.state__standing),
        streak_ok=row.state__streak_ok,
        streak_fail=row.state__streak_fail,
        streak_at=row.state__streak_at,
        last_at=row.state__last_at,
        slow=row.state__slow,
        changes=row.state__changes,
        is_flapping=row.state__is_flapping,
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
