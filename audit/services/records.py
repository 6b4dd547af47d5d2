"""Write the audit log: in the transaction of the act, or the act does not happen."""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from audit.engine.categories import category_of
from audit.engine.chain import BODY_FIELDS, SEPARATOR, body_of, mac_of, told_time
from audit.engine.keys import MAC_KEY
from audit.models import AuditRecord
from audit.services import acts, repeats, spill
from core import tracing
from core.actors import ActorKind
from core.keyring import KeyringError

if TYPE_CHECKING:
    from django.db import models

    from core.actors import Actor

Detail = str | int | bool | UUID | None

logger = logging.getLogger(__name__)

_LONGEST_DETAIL: Final = 2_000
_COLUMNS: Final = (*BODY_FIELDS, "mac")
_INSERT: Final = (
    f"INSERT INTO audit_auditrecord ({', '.join(_COLUMNS)}) "  # noqa: S608  # names of columns
    f"VALUES ({', '.join(['%s'] * len(_COLUMNS))}) RETURNING id"
)
_READ: Final = ("id", *_COLUMNS)
# PostgreSQL stores neither NUL nor lone surrogates, and the separator parts the hashed columns.
_UNSTORABLE: Final = str.maketrans({"\0": "\N{REPLACEMENT CHARACTER}", SEPARATOR: " "})


def record(
    *,
    actor: Actor,
    action: str,
    target: models.Model | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    reason: str = "",
    category: str = "",
    **details: Detail,
) -> AuditRecord:
    """Write one row in the running transaction; address and request come from the context.

    `before` and `after` hold the changed fields only, and never a secret: callers list what may be
    told. The category follows from the action unless it is given. Raises RuntimeError outside a
    transaction.
    """
    if not connection.in_atomic_block:
        message = "An audit row belongs to the transaction of its act; open one."
        raise RuntimeError(message)
    payload: dict[str, object] = dict(details)
    if before is not None:
        payload["before"] = before
    if after is not None:
        payload["after"] = after
    texts = _texts("allowed", actor, action, target, reason, payload, category)
    acts.note_record()
    return insert(texts)


def record_refusal(
    *,
    actor: Actor,
    action: str,
    reason: str,
    target: models.Model | None = None,
    category: str = "",
    **details: Detail,
) -> None:
    """Write a refused act in a transaction of its own, after the act has rolled back.

    Called inside an act, it waits for the act's end. The first of many alike within a minute is
    written at once, the others as one summary. Without a database the record waits in a file.
    """
    _write_apart(_texts("denied", actor, action, target, reason, details, category))


def record_error(
    *,
    actor: Actor,
    action: str,
    reason: str,
    target: models.Model | None = None,
    category: str = "",
    **details: Detail,
) -> None:
    """Write an act that failed, as `record_refusal` does."""
    _write_apart(_texts("error", actor, action, target, reason, details, category))


def insert(texts: Mapping[str, str]) -> AuditRecord:
    """Write a row from its texts, with its keyed digest."""
    mac = mac_of(_secret(), body_of(texts))
    values: list[Any] = [texts[name] for name in BODY_FIELDS]
    at = datetime.fromisoformat(texts["at"]).replace(tzinfo=UTC)
    if connection.vendor == "postgresql":
        values[0] = f"{values[0]}+00"
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [*values, mac])
        record_id = cursor.fetchone()[0]
    values[0] = at
    return AuditRecord.from_db(connection.alias, _READ, [record_id, *values, mac])


def _secret() -> str:
    try:
        # Without a look at the disk: the keyring remembers for seconds.
        return settings.KEYRING.current(MAC_KEY)
    except KeyringError:
        return settings.KEYRING.ensure(MAC_KEY)


def replay_spilled() -> int:
    """Write what waited in files while there was no database; return how many records."""
    return spill.replay(insert)


def tell_repeats() -> int:
    """Write the summaries that are due; return how many."""
    return repeats.tell(insert)


def _write_apart(texts: dict[str, str]) -> None:
    acts.write_apart(lambda: _write_or_spill(texts))


def _write_or_spill(texts: dict[str, str]) -> bool:
    try:
        with transaction.atomic():
            if repeats.is_first(texts, insert):
                insert(texts)
    except (DatabaseError, InterfaceError) as error:
        # The act was refused all the same; its record must not be lost with the database.
        logger.warning("An audit record waits in a file (%s).", type(error).__name__)
        spill.keep(texts)
        return False
    return True


def _texts(
    outcome: str,
    actor: Actor,
    action: str,
    target: models.Model | None,
    reason: str,
    payload: Mapping[str, object],
    category: str,
) -> dict[str, str]:
    context = tracing.current()
    behind = actor.user_id if actor.kind is not ActorKind.USER else None
    return {
        "at": told_time(datetime.now(UTC)),
        "category": category or category_of(action),
        "action": action[:100],
        "outcome": outcome,
        "actor_kind": str(actor.kind),
        "actor_key": _plain(actor.key)[:100],
        "actor_name": _plain(actor.name)[:200],
        "on_behalf_of": str(behind) if behind is not None else "",
        "session": _plain(context.session)[:36],
        "address": _address(context.address),
        "user_agent": _plain(context.user_agent)[:300],
        "request_id": context.request_id,
        "trace_id": context.trace_id,
        "target_type": target._meta.label if target is not None else "",
        "target_id": _plain(str(target.pk))[:100] if target is not None else "",
        "target_name": _plain(str(target))[:200] if target is not None else "",
        "reason": _plain(reason)[:500],
        "payload": canonical(payload) if payload else "{}",
    }


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
    if value.__class__ is str:
        return _plain(value)[:_LONGEST_DETAIL]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {_plain(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(item) for item in value]
    # A float has no canonical text; everything else is kept as people read it.
    return _plain(str(value))[:_LONGEST_DETAIL]


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_UNSTORABLE).encode("utf-8", "replace").decode()


@lru_cache(maxsize=1_024)
def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
