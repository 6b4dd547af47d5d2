"""Change the catalogue: services and their checks, always audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import InvalidInputError, NotFoundError
from core.masking import HIDDEN
from core.targets import shown_url
from reliability.models import Check, CheckState, Service, StateSegment
from reliability.models.states import PAUSED
from reliability.services import check_alerts, dependencies, news, objectives, rhythms, states
from reliability.services.validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db import models

    from core.actors import Actor

_TYPED: Final = frozenset({"name", "owner", "url", "accept", "host", "dns_server"})


class ServiceFields(TypedDict, total=False):
    """What may be set on a service."""

    name: str
    owner: str
    tier: str
    environment: str
    url: str
    is_public: bool
    public_name: str


class CheckFields(TypedDict, total=False):
    """What may be set on a check; `headers` replaces all headers, None removes them."""

    name: str
    kind: str
    url: str
    host: str
    port: int | None
    method: str
    headers: Mapping[str, str] | None
    body: str
    interval_seconds: int
    timeout_seconds: int
    retry_interval_seconds: int | None
    strikes_down: int
    strikes_up: int
    accept: str
    body_contains: str
    assertions: list[dict[str, Any]]
    degraded_ms: int | None
    follow_redirects: bool
    tls_verify: bool
    tls_min_days: int
    dns_type: str
    dns_expected: str
    dns_server: str
    ip_family: str
    down_at_once: bool
    tags: list[str]
    parents: Sequence[int]
    enabled: bool
    heartbeat: Mapping[str, Any]


# These two classes are the one list of what can be set; forms and the API read it here.
SERVICE_FIELDS: Final = tuple(ServiceFields.__annotations__)
CHECK_FIELDS: Final = tuple(CheckFields.__annotations__)
# Headers can be set and are never shown; a rhythm and parents are rows of their own.
_APART: Final = frozenset({"headers", "heartbeat", "parents"})
# What was found of another target says nothing about this one.
_TARGET: Final = ("kind", "url", "host", "port")
OPEN_CHECK_FIELDS: Final = tuple(name for name in CHECK_FIELDS if name not in _APART)


@audited
def create_service(*, actor: Actor, **fields: Unpack[ServiceFields]) -> Service:
    """Add a service to the catalogue."""
    service = Service()
    _fill(service, fields)
    validate(service)
    _save_service(service)
    news.service_changed(service_id=service.pk)
    record(
        actor=actor, action="service.created", target=service, after=_told(service, SERVICE_FIELDS)
    )
    objectives.create_default(actor=actor, service=service)
    return service


@audited
def update_service(*, actor: Actor, service_id: int, **fields: Unpack[ServiceFields]) -> Service:
    """Change a service; nothing is written when nothing changes."""
    service = _locked_service(service_id)
    before = _told(service, SERVICE_FIELDS)
    _fill(service, fields)
    old, new = changes(before, _told(service, SERVICE_FIELDS))
    if not new:
        return service
    validate(service)
    _save_service(service)
    news.service_changed(service_id=service.pk)
    record(actor=actor, action="service.updated", target=service, before=old, after=new)
    return service


@audited
def delete_service(*, actor: Actor, service_id: int) -> None:
    """Remove a service with its checks and their history; incidents stay for the record."""
    service = _locked_service(service_id)
    # All states first, as the flush locks them: between two of them it would wait for the alerts.
    states_of = CheckState.objects.select_for_update().filter(check_of__service=service_id)
    for check_id in list(states_of.order_by("pk").values_list("pk", flat=True)):
        delete_check(actor=actor, check_id=check_id)
    for slo_id in service.slos.order_by("pk").values_list("pk", flat=True):
        objectives.delete(actor=actor, slo_id=slo_id)
    news.service_changed(service_id=service.pk)
    record(
        actor=actor,
        action="service.deleted",
        target=service,
        before=_told(service, SERVICE_FIELDS),
    )
    service.delete()


@audited
def create_check(*, actor: Actor, service_id: int, **fields: Unpack[CheckFields]) -> Check:
    """Add a check; the prober takes it up within seconds and asks at once."""
    check = Check(service=_locked_service(service_id))
    rhythm, parents = fields.pop("heartbeat", {}), fields.pop("parents", ())
    _fill(check, fields)
    check.headers = check.headers or None
    validate(check)
    _refuse_rhythm(check, rhythm)
    check.save(force_insert=True)
    if parents:
        dependencies.depend(check, parents)
    now = timezone.now()
    CheckState.objects.create(check_of=check, since=now)
    reason = "created" if check.enabled else PAUSED
    StateSegment.objects.create(check_of=check, standing="unknown", started_at=now, reason=reason)
    news.service_changed(service_id=service_id, check_id=check.pk, state="unknown")
    after = _shown(_told_check(check))
    if check.kind == Check.Kind.HEARTBEAT:
        after["heartbeat"] = rhythms.told(rhythms.begin(check=check, fields=rhythm))
    record(actor=actor, action="check.created", target=check, after=after)
    return check


@audited
def update_check(*, actor: Actor, check_id: int, **fields: Unpack[CheckFields]) -> Check:
    """Change a check; the prober takes the change up within seconds and asks at once.

    Switching it off makes its state unknown and ends its incident.
    """
    state, check = _locked_check(check_id)
    before, was_enabled = _told_check(check), check.enabled
    rhythm, parents = fields.pop("heartbeat", {}), fields.pop("parents", None)
    _fill(check, fields)
    if parents is not None:
        dependencies.depend(check, parents)
    _refuse_rhythm(check, rhythm)
    _refuse_turning(before["kind"], check.kind)
    old, new = changes(before, _told_check(check))
    if "headers" in fields:
        check.headers = fields["headers"] or None
        new["headers"] = "replaced" if check.headers else "removed"
    if rhythm:
        old["heartbeat"], new["heartbeat"] = rhythms.change(check=check, fields=rhythm)
        if not new["heartbeat"]:
            del old["heartbeat"], new["heartbeat"]
    if not new:
        return check
    # Old headers are not touched: they need not even unseal.
    validate(check, exclude=() if "headers" in fields else ("headers",))
    check.config_version += 1
    check.save(force_update=True)
    if not new.keys().isdisjoint(_TARGET):
        states.forget_certificate(state=state)
    if was_enabled and not check.enabled:
        check_alerts.switched_off(actor=actor, check=check)
        states.reset(state=state, reason=PAUSED)
        rhythms.rest(check=check)
    news.service_changed(service_id=check.service_id, check_id=check.pk)
    record(actor=actor, action="check.updated", target=check, before=_shown(old), after=_shown(new))
    return check


@audited
def delete_check(*, actor: Actor, check_id: int) -> None:
    """Remove a check with its history and end its incident, which stays for the record."""
    _, check = _locked_check(check_id)
    check_alerts.deleted(actor=actor, check=check)
    objectives.lose_check(actor=actor, check=check)
    news.service_changed(service_id=check.service_id, check_id=check.pk)
    record(actor=actor, action="check.deleted", target=check, before=_shown(_told_check(check)))
    check.delete()


def _locked_service(service_id: int) -> Service:
    service = Service.objects.select_for_update(no_key=True).filter(pk=service_id).first()
    if service is None:
        message = "There is no such service."
        raise NotFoundError(message)
    return service


def _locked_check(check_id: int) -> tuple[CheckState, Check]:
    """Lock the state first, as the flush does, then the check: the same order everywhere.

    The check's key stays free, or the flush would wait for it while it inserts results.
    """
    state = CheckState.objects.select_for_update().filter(pk=check_id).first()
    check = (
        Check.objects.select_for_update(no_key=True, of=("self",))
        .select_related("service")
        .defer("headers")
        .filter(pk=check_id)
        .first()
    )
    if state is None or check is None:
        message = "There is no such check."
        raise NotFoundError(message)
    return state, check


def _refuse_rhythm(check: Check, rhythm: Mapping[str, Any]) -> None:
    if rhythm and check.kind != Check.Kind.HEARTBEAT:
        message = "Only a check of the kind heartbeat has a rhythm."
        raise InvalidInputError(message, errors={"heartbeat": [message]})


def _refuse_turning(before: str, after: str) -> None:
    if before != after and Check.Kind.HEARTBEAT in {before, after}:
        message = "A heartbeat stays one, and nothing else becomes one; add a new check."
        raise InvalidInputError(message, errors={"kind": [message]})


def _save_service(service: Service) -> None:
    try:
        with transaction.atomic():
            service.save()
    except IntegrityError as error:
        # Another transaction took the name after the validation.
        message = "A service with this name exists already."
        raise InvalidInputError(message, errors={"name": [message]}) from error


def _fill(row: models.Model, fields: Mapping[str, object]) -> None:
    """Set the fields; spaces around what people type as a name or address mean nothing."""
    for name, given in fields.items():
        if isinstance(given, str) and name in _TYPED:
            setattr(row, name, given.strip())
        elif name == "tags" and isinstance(given, list):
            setattr(row, name, _unique(given))
        else:
            setattr(row, name, given)


def _unique(tags: list[object]) -> list[object]:
    """Keep each tag once; what is no text is left for the validation to refuse."""
    tidy = [tag.strip() if isinstance(tag, str) else tag for tag in tags]
    return [tag for number, tag in enumerate(tidy) if tag not in tidy[:number]]


def _told(row: models.Model, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _told_check(check: Check) -> dict[str, Any]:
    parents = dependencies.parents_of(check)
    return {"service": check.service.name, **_told(check, OPEN_CHECK_FIELDS), "parents": parents}


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    """Leave out the query of the URL and the body, which may hold a token: many read the log."""
    shown = {**told, "url": shown_url(told["url"])} if "url" in told else dict(told)
    if shown.get("body"):
        shown["body"] = HIDDEN
    return shown
