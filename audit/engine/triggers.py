"""The triggers of the audit log: it only grows, and writes past the services are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from audit.engine.chain import BODY_FIELDS
from audit.engine.watched import WATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.engine.watched import Watch

GUARD: Final = "audit_guard_"
WATCH: Final = "audit_watch_"
# Tables that only grow, and their unique columns, the key first.
GUARDED: Final[dict[str, tuple[str, ...]]] = {
    "audit_auditrecord": ("id",),
    "audit_auditlink": ("record_id", "seq"),
    "audit_auditcheckpoint": ("id",),
    "audit_auditkey": ("id",),
    "audit_auditguards": ("id",),
    "audit_auditarchive": ("id", "from_seq", "to_seq"),
}
_LOG: Final = "audit_auditrecord"
_HASHED: Final = (*BODY_FIELDS[1:], "mac")
_REFUSAL: Final = "The audit log only grows: rows are never changed or deleted."
_UNFIT: Final = "A record of the audit log holds neither U+001F nor NUL."
_REASON: Final = "Changed in the database, not by the platform."
_INTO: Final = f"INSERT INTO {_LOG} ({', '.join((*BODY_FIELDS, 'mac'))}) VALUES ("  # noqa: S608  # names of columns

POSTGRESQL_FUNCTIONS: Final[dict[str, str]] = {
    "audit_refuse": f"""
BEGIN
  IF TG_OP = 'INSERT' THEN
    RAISE EXCEPTION '{_UNFIT}' USING ERRCODE = 'check_violation';
  END IF;
  RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'insufficient_privilege';
END
""",
    "audit_bypassed": f"""
DECLARE
  row_key text := '';
BEGIN
  IF TG_OP = 'DELETE' THEN
    row_key := to_jsonb(OLD) ->> TG_ARGV[1];
  ELSIF TG_OP <> 'TRUNCATE' THEN
    row_key := to_jsonb(NEW) ->> TG_ARGV[1];
  END IF;
  {_INTO}
    clock_timestamp(), 'security', 'db.bypassed', 'allowed', 'database',
    left(session_user::text, 100), left('database account ' || session_user, 200), '', '',
    coalesce(host(inet_client_addr()), ''),
    left(translate(current_setting('application_name', true), chr(31), ' '), 300), '', '',
    TG_ARGV[0], left(translate(row_key, chr(31), ' '), 100), '', '{_REASON}',
    '{{"operation":"' || lower(TG_OP) || '","table":"' || TG_TABLE_NAME || '"}}', '');
  RETURN NULL;
END
""",
}


def wanted(vendor: str, tables: Mapping[str, set[str]]) -> dict[str, tuple[str, str]]:
    """Return table and SQL of every trigger by name, for the tables and columns there are."""
    make = _postgresql if vendor == "postgresql" else _sqlite
    return {name: (table, sql) for name, table, sql in make(tables)}


def _watches(tables: Mapping[str, set[str]]) -> Iterator[tuple[str, Watch, list[str]]]:
    for table, watch in WATCHED.items():
        if table in tables:
            named = watch.columns or sorted(tables[table])
            yield table, watch, [column for column in named if column in tables[table]]


def _postgresql(tables: Mapping[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    for table in GUARDED:
        if table in tables:
            name = f"{GUARD}{table.removeprefix('audit_')}"
            yield (
                name,
                table,
                (
                    f"CREATE TRIGGER {name} BEFORE DELETE OR UPDATE OR TRUNCATE ON {table} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
                ),
            )
    if _LOG in tables:
        # The separator parts what is hashed: within a column it would move the others.
        name = f"{GUARD}auditrecord_insert"
        joined = " || ".join(f"NEW.{column}" for column in _HASHED)
        yield (
            name,
            _LOG,
            (
                f"CREATE TRIGGER {name} BEFORE INSERT ON {_LOG} FOR EACH ROW "
                f"WHEN (strpos({joined}, chr(31)) > 0) EXECUTE FUNCTION audit_refuse()"
            ),
        )
    nobody = "COALESCE(current_setting('ops.audit', true), '') = ''"
    for table, watch, columns in _watches(tables):
        call = f"EXECUTE FUNCTION audit_bypassed('{watch.label}', '{watch.key}')"
        old, new = (
            ", ".join(f'{side}."{column}"' for column in columns) for side in ("OLD", "NEW")
        )
        for operation in (*watch.operations, "truncate"):
            when, each = nobody, "STATEMENT" if operation == "truncate" else "ROW"
            if operation == "update":
                when = f"{nobody} AND ({old}) IS DISTINCT FROM ({new})"
            name = f"{WATCH}{table}_{operation}"[:63]
            yield (
                name,
                table,
                (
                    f"CREATE TRIGGER {name} AFTER {operation.upper()} ON {table} "
                    f"FOR EACH {each} WHEN ({when}) {call}"
                ),
            )


def _sqlite(tables: Mapping[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    for table, unique in GUARDED.items():
        if table in tables:
            head = f"{GUARD}{table.removeprefix('audit_')}"
            refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            # REPLACE deletes without a trigger: an insert of what is there is refused as well.
            same = " OR ".join(f"{column} = NEW.{column}" for column in unique)
            known = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608  # names of tables
            for operation, when in (("update", ""), ("delete", ""), ("insert", f"{known} ")):
                name = f"{head}_{operation}"
                sql = f"CREATE TRIGGER {name} BEFORE {operation.upper()} ON {table} {when}{refuse}"
                yield name, table, sql
    if _LOG in tables:
        joined = " || ".join(f"NEW.{column}" for column in _HASHED)
        name = f"{GUARD}auditrecord_text"
        unfit = f"instr({joined}, char(31)) OR instr(CAST({joined} AS BLOB), x'00')"
        sql = (
            f"CREATE TRIGGER {name} BEFORE INSERT ON {_LOG} WHEN {unfit} "
            f"BEGIN SELECT RAISE(ABORT, '{_UNFIT}'); END"
        )
        yield name, _LOG, sql
    nobody = "NOT EXISTS (SELECT 1 FROM audit_ctx)"
    for table, watch, columns in _watches(tables):
        differs = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in columns)
        for operation in watch.operations:
            when = f"{nobody} AND ({differs})" if operation == "update" else nobody
            row = "OLD" if operation == "delete" else "NEW"
            values = (
                "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'security', 'db.bypassed',"
                " 'allowed', 'database', 'sqlite', 'another program', '', '', '', '', '', '',"
                f" '{watch.label}', substr(replace({row}.\"{watch.key}\", char(31), ' '), 1, 100),"
                f" '', '{_REASON}', '{{\"operation\":\"{operation}\",\"table\":\"{table}\"}}', ''"
            )
            name = f"{WATCH}{table}_{operation}"
            yield (
                name,
                table,
                (
                    f"CREATE TRIGGER {name} AFTER {operation.upper()} ON {table} WHEN {when} "
                    f"BEGIN {_INTO}{values}); END"
                ),
            )
