"""Put the triggers of the audit log in place, and take them away where a schema must change."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.db import connections, transaction

from audit.engine.triggers import GUARD, GUARDED, POSTGRESQL_FUNCTIONS, WATCH
from audit.models import AuditGuards, AuditRecord
from audit.selectors import guards as selected
from audit.selectors.guards import existing, expected, mark_of, wrong_functions
from audit.services import records
from audit.signals import chain_damaged
from core.actors import Actor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

logger = logging.getLogger(__name__)

MIGRATION: Final = Actor.command("migrate")


def install(using: str = "default") -> None:
    """Make the triggers exactly as they should be; what is right already is left alone."""
    connection = connections[using]
    is_postgresql = connection.vendor == "postgresql"
    wanted, found = expected(using), existing(using)
    if "audit_auditrecord" not in {table for table, _ in wanted.values()}:
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for name in wrong_functions(using):
            cursor.execute(_function(name))
            cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [name])
            comment = selected.seal_of(mark_of(POSTGRESQL_FUNCTIONS[name]), cursor.fetchone()[0])
            cursor.execute(f"COMMENT ON FUNCTION {name}() IS '{comment}'")
        for name, (table, _) in found.items():
            if name not in wanted:
                cursor.execute(_drop(name, table, is_postgresql=is_postgresql))
        made = []
        for name, (table, sql) in wanted.items():
            if found.get(name) == (table, mark_of(sql)):
                continue
            if name in found:
                cursor.execute(_drop(name, found[name][0], is_postgresql=is_postgresql))
            cursor.execute(sql)
            made.append(name)
        if is_postgresql and made:
            cursor.execute(
                "SELECT t.tgname, c.relname, pg_get_triggerdef(t.oid, true) FROM pg_trigger t "
                "JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname = ANY(%s) "
                "AND c.relnamespace = current_schema()::regnamespace",
                [made],
            )
            for name, table, definition in cursor.fetchall():
                comment = selected.seal_of(mark_of(wanted[name][1]), definition)
                cursor.execute(f"COMMENT ON TRIGGER {name} ON {table} IS '{comment}'")
        _note_set(using)


def _note_set(using: str) -> None:
    """Keep which triggers this version has put in place, so that a later loss is known as one."""
    rows = AuditGuards.objects.using(using)
    if not rows.exists() or not selected.is_current(using):
        rows.create(mark=selected.set_mark(using))


def lost(using: str = "default") -> list[str]:
    """Return the triggers that somebody took away, changed or added; none during an upgrade."""
    return selected.missing(using) if selected.is_current(using) else []


def tell_restored(names: Sequence[str]) -> None:
    """Record that triggers were missing, and open an incident: meanwhile nobody watched."""
    shown = ", ".join(names[:5])
    logger.error("Triggers of the audit log were missing or changed: %s", shown)
    with transaction.atomic():
        records.record(
            actor=MIGRATION,
            action="audit.triggers_restored",
            reason="Triggers of the audit log were missing or changed before this migration.",
            triggers=", ".join(names),
            count=len(names),
        )
    text = f"Triggers of the audit log were missing or changed, and are back: {shown}."
    chain_damaged.send_robust(AuditRecord, findings=[text])


def remove(using: str = "default", *, tables: Collection[str] | None = None) -> None:
    """Take the triggers away, of some tables or of all: a migration may rebuild the tables."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for name, (table, _) in existing(using).items():
            if tables is None or table in tables:
                is_postgresql = connection.vendor == "postgresql"
                cursor.execute(_drop(name, table, is_postgresql=is_postgresql))


def open_log(using: str = "default") -> None:
    """Take the guards of the log itself away; call `install` in the same transaction."""
    remove(using, tables=GUARDED)


def _function(name: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
        f"SECURITY DEFINER SET search_path FROM CURRENT AS $body${POSTGRESQL_FUNCTIONS[name]}$body$"
    )


def _drop(name: str, table: str, *, is_postgresql: bool) -> str:
    assert name.startswith((GUARD, WATCH)), name  # noqa: S101  # nobody else's
    return f"DROP TRIGGER {name} ON {table}" if is_postgresql else f"DROP TRIGGER {name}"
