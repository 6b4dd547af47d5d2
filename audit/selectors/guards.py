"""Find out whether the triggers of the audit log are as they should be."""

from __future__ import annotations

import hashlib
from typing import Final

from django.db import connections

from audit.engine.triggers import GUARD, GUARDED, POSTGRESQL_FUNCTIONS, WATCH, wanted
from audit.engine.watched import WATCHED

_COLUMNS: Final = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ANY(%s)"""
_TRIGGERS: Final = """
SELECT t.tgname, c.relname, coalesce(obj_description(t.oid, 'pg_trigger'), ''), t.tgenabled
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
  AND t.tgname LIKE 'audit%%'"""
_FUNCTIONS: Final = """
SELECT proname, prosrc FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND proname = ANY(%s)"""


def expected(using: str = "default") -> dict[str, tuple[str, str]]:
    """Return the triggers that must be there, for the tables that this database has."""
    return wanted(connections[using].vendor, _tables(using))


def existing(using: str = "default") -> dict[str, tuple[str, str]]:
    """Return the triggers of the log as they are, by name: their table and a mark of their text."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_TRIGGERS)
            return {
                name: (table, mark if enabled in {"O", b"O"} else "switched off")
                for name, table, mark, enabled in cursor.fetchall()
            }
        cursor.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        return {
            name: (table, mark_of(sql))
            for name, table, sql in cursor.fetchall()
            if name.startswith((GUARD, WATCH))
        }


def wrong_functions(using: str = "default") -> list[str]:
    """Return PostgreSQL's functions that are missing or were changed."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_FUNCTIONS, [list(POSTGRESQL_FUNCTIONS)])
        found = dict(cursor.fetchall())
    return [name for name, body in POSTGRESQL_FUNCTIONS.items() if found.get(name) != body]


def missing(using: str = "default") -> list[str]:
    """Return the triggers that are missing, switched off or changed."""
    found = existing(using)
    bad = [
        name
        for name, (table, sql) in expected(using).items()
        if found.get(name) != (table, mark_of(sql))
    ]
    return sorted(bad + wrong_functions(using))


def mark_of(sql: str) -> str:
    """Return the digest by which a changed trigger is known."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]


def _tables(using: str) -> dict[str, set[str]]:
    names = [*GUARDED, *WATCHED]
    connection = connections[using]
    found: dict[str, set[str]] = {}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_COLUMNS, [names])
        else:
            cursor.execute(
                "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
                "WHERE m.type = 'table'"
            )
        for table, column in cursor.fetchall():
            if table in names:
                found.setdefault(table, set()).add(column)
    return found
