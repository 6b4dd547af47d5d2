"""Change objectives, always audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import InvalidInputError, NotFoundError
from reliability.models import SLO, Alert, Check, Service
from reliability.selectors.indicators.registry import INDICATORS
from reliability.services import alerts, news
from reliability.services.validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.actors import Actor


class SLOFields(TypedDict, total=False):
    """What may be set on an objective; `checks` are ids, none means all of the service."""

    name: str
    indicator: str
    threshold_ms: int | None
    objective: float
    window: str
    window_days: int
    checks: Sequence[int]
    combine: str
    unknown_policy: str
    gate: bool
    policy: str
    enabled: bool


# The one list of what can be set; forms and the API read it here.
SLO_FIELDS: Final = tuple(SLOFields.__annotations__)


@audited
def create(*, actor: Actor, service_id: int, **fields: Unpack[SLOFields]) -> SLO:
    """Promise something of a service."""
    service = Service.objects.select_for_update(no_key=True).filter(pk=service_id).first()
    if service is None:
        message = "There is no such service."
        raise NotFoundError(message)
    slo = SLO(service=service)
    checks = _fill(slo, fields)
    _validate(slo, checks)
    slo.save(force_insert=True)
    slo.checks.set(checks)
    news.service_changed(service_id=service_id)
    record(actor=actor, action="slo.created", target=slo, after=_told(slo))
    return slo


def create_default(*, actor: Actor, service: Service) -> SLO:
    """Promise of a new service what SLO_TARGET and SLO_WINDOW_DAYS say, in the caller's act."""
    slo = SLO(service=service)
    slo.save(force_insert=True)
    record(actor=actor, action="slo.created", target=slo, after=_told(slo))
    return slo


@audited
def update(*, actor: Actor, slo_id: int, **fields: Unpack[SLOFields]) -> SLO:
    """Change an objective; nothing is written when nothing changes.

    One that is switched off ends its alerts.
    """
    slo = _locked(slo_id)
    before, was_enabled = _told(slo), slo.enabled
    checks = _fill(slo, fields)
    old, new = changes(before, _told(slo) | {"checks": checks})
    if not new:
        return slo
    _validate(slo, checks)
    slo.save(force_update=True)
    slo.checks.set(checks)
    if was_enabled and not slo.enabled:
        _end_alerts(slo, actor=actor, text="The objective was switched off.")
    news.service_changed(service_id=slo.service_id)
    record(actor=actor, action="slo.updated", target=slo, before=old, after=new)
    return slo


@audited
def delete(*, actor: Actor, slo_id: int) -> None:
    """Remove an objective with its snapshots and end its alerts, which stay for the record."""
    slo = _locked(slo_id)
    _end_alerts(slo, actor=actor, text="The objective was deleted.")
    news.service_changed(service_id=slo.service_id)
    record(actor=actor, action="slo.deleted", target=slo, before=_told(slo))
    slo.delete()


def lose_check(*, actor: Actor, check: Check) -> None:
    """Note, in the act that deletes a check, which objectives named it; none of them widens."""
    naming = SLO.objects.select_for_update(of=("self",)).select_related("service")
    for slo in naming.filter(checks=check).order_by("pk"):
        named = _check_ids(slo)
        kept = [key for key in named if key != check.pk]
        slo.checks.remove(check)
        record(
            actor=actor,
            action="slo.updated",
            target=slo,
            before={"checks": named},
            after={"checks": kept, "check_deleted": check.label},
        )


def _locked(slo_id: int) -> SLO:
    found = SLO.objects.select_for_update(of=("self",)).select_related("service")
    slo = found.filter(pk=slo_id).first()
    if slo is None:
        message = "There is no such objective."
        raise NotFoundError(message)
    return slo


def _fill(slo: SLO, fields: SLOFields) -> list[int]:
    """Set the fields and return the ids of the checks it is to watch."""
    for name, value in fields.items():
        if name != "checks":
            setattr(slo, name, value.strip() if isinstance(value, str) else value)
    if "checks" in fields:
        checks = sorted(set(fields["checks"]))
        slo.names_checks = bool(checks)
        return checks
    return _check_ids(slo) if slo.pk else []


def _check_ids(slo: SLO) -> list[int]:
    return list(slo.checks.order_by("pk").values_list("pk", flat=True))


def _told(slo: SLO) -> dict[str, Any]:
    told = {name: getattr(slo, name) for name in SLO_FIELDS if name != "checks"}
    return {
        "service": slo.service.name,
        **told,
        "checks": _check_ids(slo),
        "names_checks": slo.names_checks,
    }


def _validate(slo: SLO, checks: Sequence[int]) -> None:
    errors = _errors(slo, checks)
    if errors:
        message = "Some values cannot be used."
        raise InvalidInputError(message, errors=errors)
    validate(slo)


def _errors(slo: SLO, checks: Sequence[int]) -> Mapping[str, list[str]]:
    """Return what breaks rules that the model cannot know, by field."""
    errors: dict[str, list[str]] = {}
    indicator = INDICATORS.get(slo.indicator)
    if indicator is None:
        errors["indicator"] = [f"Choose one of {', '.join(INDICATORS)}."]
    elif indicator.needs_threshold and not slo.threshold_ms:
        errors["threshold_ms"] = ["Say within how many milliseconds an answer is fast."]
    elif not indicator.needs_threshold and slo.threshold_ms is not None:
        errors["threshold_ms"] = ["Only an objective of fast answers has a threshold."]
    found = Check.objects.filter(pk__in=checks, service=slo.service_id).count()
    if found != len(checks):
        errors["checks"] = ["Choose checks of the same service."]
    return errors


def _end_alerts(slo: SLO, *, actor: Actor, text: str) -> None:
    held = Alert.objects.filter(slo=slo, state=Alert.State.FIRING).select_related("service")
    for alert in held.order_by("pk"):
        alerts.end(alert, actor=actor, at=timezone.now(), text=text)
