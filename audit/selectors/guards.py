"""Find out whether the triggers of the audit log are as they should be."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from django.db import connections

from audit.engine.triggers import GUARD, GUARDED, POSTGRESQL_FUNCTIONS, WATCH, wanted
from audit.engine.watched import WATCHED
from audit.models import AuditGuards
from audit.selectors.chain import mac_keys, old_mac_keys

_COLUMNS: Final = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ANY(%s)"""
# The comment is a keyed digest of what the database says of the trigger: whoever hollows it out
# cannot write the comment that would belong to it.
_TRIGGERS: Final = """
SELECT t.tgname, c.relname, coalesce(obj_description(t.oid, 'pg_trigger'), ''), t.tgenabled,
  pg_get_triggerdef(t.oid, true)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
  AND (c.relname = ANY(%s) OR t.tgname LIKE 'audit\\_%%')"""
_FUNCTIONS: Final = """
SELECT proname, prosrc, prosecdef, coalesce(obj_description(oid, 'pg_proc'), ''),
  pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname = ANY(%s)"""
_HIDING: Final = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
  AND relname = ANY(%s) AND (relhasrules OR relrowsecurity)
ORDER BY relname"""
_SETTINGS: Final = """
SELECT split_part(setting, '=', 1) FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND split_part(setting, '=', 1) IN ('ops.audit', 'session_replication_role')"""


def expected(using: str = "default") -> dict[str, tuple[str, str]]:
    """Return the triggers that must be there, for the tables that this database has."""
    return wanted(connections[using].vendor, _tables(using))


def existing(using: str = "default") -> dict[str, tuple[str, str]]:
    """Return the triggers of the log as they are, by name: their table and a mark of their text."""
    return {
        name: found
        for name, found in _all_triggers(using).items()
        if name.startswith((GUARD, WATCH))
    }


def _all_triggers(using: str) -> dict[str, tuple[str, str]]:
    """Return every trigger on the tables of the log and on watched ones."""
    connection = connections[using]
    names = [*GUARDED, *WATCHED]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_TRIGGERS, [names])
            keys = old_mac_keys()
            return {
                name: (table, _told(comment, definition, keys, enabled in {"O", b"O"}))
                for name, table, comment, enabled, definition in cursor.fetchall()
            }
        cursor.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        return {
            name: (table, mark_of(sql))
            for name, table, sql in cursor.fetchall()
            if table in names or name.startswith((GUARD, WATCH))
        }


def _told(comment: str, definition: str, keys: dict[str, bytes], is_on: bool) -> str:  # noqa: FBT001  # a fact among others
    """Return the mark that a comment tells, if the platform wrote it for just this."""
    mark = comment.partition(":")[0]
    if not is_on:
        return "switched off"
    return mark if is_sealed(comment, mark, definition, keys) else "changed"


def seal_of(mark: str, definition: str) -> str:
    """Return a comment that only the platform can write, for a trigger or function as it is."""
    [(name, key), *_] = mac_keys().items()
    return f"{mark}:{name}:{_digest(key, mark, definition)}"


def is_sealed(comment: str, mark: str, definition: str, keys: dict[str, bytes]) -> bool:
    """Tell whether the platform wrote the comment for this definition."""
    parts = comment.split(":")
    if len(parts) != len(("mark", "key", "digest")) or parts[0] != mark or parts[1] not in keys:
        return False
    return hmac.compare_digest(_digest(keys[parts[1]], mark, definition), parts[2])


def _digest(key: bytes, mark: str, definition: str) -> str:
    message = f"audit trigger\0{mark}\0{definition}"
    return hmac.digest(key, message.encode(), "sha256").hex()[:32]


def wrong_functions(using: str = "default") -> list[str]:
    """Return PostgreSQL's functions that are missing or were changed."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_FUNCTIONS, [list(POSTGRESQL_FUNCTIONS)])
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    keys, wrong = old_mac_keys(), []
    for name, body in POSTGRESQL_FUNCTIONS.items():
        source, is_definer, comment, definition = found.get(name, ("", False, "", ""))
        is_ours = source == body and is_definer
        if not is_ours or not is_sealed(comment, mark_of(body), definition, keys):
            wrong.append(name)
    return wrong


def missing(using: str = "default") -> list[str]:
    """Return the triggers that are missing, switched off or changed, and foreign ones."""
    found = _all_triggers(using)
    should = expected(using)
    bad = [
        name for name, (table, sql) in should.items() if found.get(name) != (table, mark_of(sql))
    ]
    foreign = [f"{name} on {table}" for name, (table, _) in found.items() if name not in should]
    return sorted([*bad, *wrong_functions(using), *foreign, *_hushed(using)])


def _hushed(using: str) -> list[str]:
    """Return what keeps triggers silent or rows hidden, although each trigger is there."""
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_HIDING, [[*GUARDED, *WATCHED]])
            found = [f"rule or row security on {name}" for (name,) in cursor.fetchall()]
            cursor.execute(_SETTINGS)
            return [*found, *(f"setting {name}" for (name,) in cursor.fetchall())]
        if connection.in_atomic_block:
            # An act of this very transaction may have announced itself.
            return []
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_ctx'")
        if cursor.fetchone() is None:
            return []
        cursor.execute("SELECT count(*) FROM audit_ctx")
        return ["row left in audit_ctx"] if cursor.fetchone()[0] else []


def mark_of(sql: str) -> str:
    """Return the digest by which a changed trigger is known."""
    return hashlib.sha256(sql.encode()).hexdigest()[:16]


def set_mark(using: str) -> str:
    """Return the mark of all triggers that this version of the platform wants, sealed."""
    return seal_of(_set(using), "all triggers")


def _set(using: str) -> str:
    texts = [f"{name} {sql}" for name, (_, sql) in sorted(expected(using).items())]
    if connections[using].vendor == "postgresql":
        texts += POSTGRESQL_FUNCTIONS.values()
    return mark_of("\0".join(texts))


def is_current(using: str = "default") -> bool:
    """Tell whether this version put its triggers in place: what is missing then was taken away.

    After an upgrade it is not: the triggers of the version before are still there.
    """
    if "audit_auditguards" not in _tables(using):
        return False
    newest = AuditGuards.objects.using(using).order_by("-id").values_list("mark", flat=True).first()
    mark = (newest or "").partition(":")[0]
    is_ours = is_sealed(newest or "", mark, "all triggers", old_mac_keys())
    return not is_ours or mark == _set(using)


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
