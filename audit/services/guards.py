"""Put the triggers of the audit log in place, and take them away where a schema must change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections, transaction

from audit.engine.triggers import GUARDED, POSTGRESQL_FUNCTIONS
from audit.selectors.guards import existing, expected, mark_of, wrong_functions

if TYPE_CHECKING:
    from collections.abc import Collection


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
        for name, (table, _) in found.items():
            if name not in wanted:
                cursor.execute(_drop(name, table, is_postgresql=is_postgresql))
        for name, (table, sql) in wanted.items():
            if found.get(name) == (table, mark_of(sql)):
                continue
            if name in found:
                cursor.execute(_drop(name, found[name][0], is_postgresql=is_postgresql))
            cursor.execute(sql)
            if is_postgresql:
                cursor.execute(f"COMMENT ON TRIGGER {name} ON {table} IS '{mark_of(sql)}'")


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
    return f"DROP TRIGGER {name} ON {table}" if is_postgresql else f"DROP TRIGGER {name}"
