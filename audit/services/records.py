"""Write the audit log: in the transaction of the act, or the act does not happen."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import connection, transaction

from audit.models import AuditRecord
from core import tracing

if TYPE_CHECKING:
    from django.db import models

    from core.actors import Actor

Detail = str | int | bool | UUID | None

_LONGEST_DETAIL: Final = 2_000


def record(
    *,
    actor: Actor,
    action: str,
    target: models.Model | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    reason: str = "",
    **details: Detail,
) -> AuditRecord:
    """Write one row in the running transaction; address and request come from the context.

    `before` and `after` hold the changed fields only, and never a secret: callers list what may be
    told. Raises RuntimeError outside a transaction.
    """
    payload: dict[str, object] = dict(details)
    if before is not None:
        payload["before"] = before
    if after is not None:
        payload["after"] = after
    return _write(AuditRecord.Outcome.ALLOWED, actor, action, target, reason, payload)


def record_refusal(*, actor: Actor, action: str, reason: str, **details: Detail) -> None:
    """Write a refused act in a transaction of its own; call it after the act has rolled back."""
    with transaction.atomic():
        _write(AuditRecord.Outcome.DENIED, actor, action, None, reason, details)


def _write(
    outcome: AuditRecord.Outcome,
    actor: Actor,
    action: str,
    target: models.Model | None,
    reason: str,
    payload: Mapping[str, object],
) -> AuditRecord:
    if not connection.in_atomic_block:
        message = "An audit row belongs to the transaction of its act; open one."
        raise RuntimeError(message)
    context = tracing.current()
    return AuditRecord.objects.create(
        action=action,
        outcome=outcome,
        actor_kind=actor.kind,
        actor_key=actor.key[:100],
        actor_name=actor.name[:200],
        address=_address(context.address),
        user_agent=_plain(context.user_agent)[:300],
        request_id=context.request_id,
        trace_id=context.trace_id,
        target_type=target._meta.label if target is not None else "",
        target_id=str(target.pk)[:100] if target is not None else "",
        target_name=_plain(str(target))[:200] if target is not None else "",
        reason=_plain(reason)[:500],
        payload=canonical(payload),
    )


def canonical(payload: Mapping[str, object]) -> str:
    """Return JSON that is the same for equal payloads: keys sorted, no floats, no spaces."""
    return json.dumps(_storable(payload), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the fields that differ, old and new."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _storable(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(item) for item in value]
    # A float has no canonical text; everything else is kept as people read it.
    return _plain(str(value))[:_LONGEST_DETAIL]


def _plain(text: str) -> str:
    # PostgreSQL stores neither NUL nor lone surrogates.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
