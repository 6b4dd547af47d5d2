"""The catalogue as files take it along: services with their checks, and never a secret header."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Prefetch

from reliability.engine.exchange import Row
from reliability.models import Check, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reliability.models import Heartbeat

SERVICE_FIELDS: Final = (
    "name",
    "owner",
    "tier",
    "environment",
    "url",
    "is_public",
    "public_name",
)
HEARTBEAT_FIELDS: Final = (
    "schedule",
    "period_seconds",
    "cron",
    "time_zone",
    "grace_seconds",
    "max_runtime_seconds",
)
CHECK_FIELDS: Final = (
    "name",
    "kind",
    "url",
    "host",
    "port",
    "method",
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
    "ip_family",
    "interval_seconds",
    "timeout_seconds",
    "retry_interval_seconds",
    "strikes_down",
    "strikes_up",
    "degraded_ms",
    "down_at_once",
    "tags",
    "enabled",
)
PARENTS: Final = "parents"
COLUMNS: Final = (
    "service",
    *(f"service_{name}" for name in SERVICE_FIELDS if name != "name"),
    *CHECK_FIELDS,
    PARENTS,
    *(f"heartbeat_{name}" for name in HEARTBEAT_FIELDS),
)

_HTTP: Final = frozenset({"http"})
_NOT_HTTP: Final = frozenset({"tcp", "dns", "tls", "icmp"})
_ASKED: Final = _HTTP | _NOT_HTTP
_OF_KINDS: Final = {
    **dict.fromkeys(
        ["url", "method", "body", "accept", "body_contains", "follow_redirects"], _HTTP
    ),
    **dict.fromkeys(["dns_type", "dns_expected", "dns_server"], frozenset({"dns"})),
    **dict.fromkeys(["name", "kind", "tags", "enabled"], _ASKED | {"heartbeat"}),
    "host": _NOT_HTTP,
    "port": frozenset({"tcp", "tls"}),
    "tls_verify": _HTTP | {"tls"},
    "tls_min_days": _HTTP | {"tls"},
}
_AT_ONCE: Final = 200


def rows() -> Iterator[Row]:
    """Return a row for each check, and one for each service without any."""
    for service in _services():
        told = _told(service, SERVICE_FIELDS)
        found = False
        for check in _checks(service):
            found = True
            yield Row(0, told, _check(check), _rhythm(check))
        if not found:
            yield Row(0, told)


def services() -> Iterator[dict[str, Any]]:
    """Return services with their checks as objects."""
    for service in _services():
        told: dict[str, Any] = _told(service, SERVICE_FIELDS)
        checks = []
        for check in _checks(service):
            one = _check(check)
            if rhythm := _rhythm(check):
                one["heartbeat"] = rhythm
            checks.append(one)
        yield {**told, "checks": checks} if checks else told


def name_of(check: Check) -> str:
    """Return what tells a check from the others of its service: its name, or else its target."""
    if check.name:
        return check.name
    target = check.url if check.kind == Check.Kind.HTTP else check.host
    port = f":{check.port}" if check.port else ""
    return f"{check.kind} {target}{port}"


def references() -> Iterator[tuple[str, int]]:
    """Return how each check is named as a parent, with its key."""
    found = Check.objects.select_related("service").defer("headers").order_by("-pk")
    for check in found.iterator(chunk_size=_AT_ONCE):
        yield folded(f"{check.service.name}: {name_of(check)}"), check.pk


def folded(name: str) -> str:
    """Return a name as it is compared: neither case nor the number of spaces matters."""
    return " ".join(name.split()).casefold()


def _services() -> Iterator[Service]:
    found = (
        Check.objects.select_related("heartbeat")
        .defer("headers")
        .prefetch_related(
            Prefetch(
                "parents", Check.objects.select_related("service").defer("headers").order_by("pk")
            )
        )
        .order_by("pk")
    )
    keys = iter(list(Service.objects.order_by("name", "pk").values_list("pk", flat=True)))
    while chunk := list(islice(keys, _AT_ONCE)):
        part = Service.objects.filter(pk__in=chunk).order_by("name", "pk")
        yield from part.prefetch_related(Prefetch("checks", found))


def _checks(service: Service) -> Iterator[Check]:
    """Leave out the platform's own jobs: each platform registers its own."""
    return (
        check
        for check in service.checks.all()
        if (beat := _heartbeat(check)) is None or not beat.job
    )


def _told(row: Any, names: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401  # a row of either table
    return {name: getattr(row, name) for name in names}


def _check(check: Check) -> dict[str, Any]:
    told = {
        name: getattr(check, name)
        for name in CHECK_FIELDS
        if check.kind in _OF_KINDS.get(name, _ASKED)
    }
    if parents := [f"{one.service.name}: {name_of(one)}" for one in check.parents.all()]:
        told[PARENTS] = parents
    return told


def _heartbeat(check: Check) -> Heartbeat | None:
    return getattr(check, "heartbeat", None)


def _rhythm(check: Check) -> dict[str, Any]:
    beat = _heartbeat(check)
    return {} if beat is None else _told(beat, HEARTBEAT_FIELDS)
