"""Bulk inserts: many rows of plain values, at a fraction of the processor time of `bulk_create`."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_PLAIN: Final = {"CharField": str, "PositiveSmallIntegerField": int}


def insert(rows: Sequence[models.Model], *, on_conflict: str = "") -> None:
    """Insert rows of one model as they stand; their ids are not filled in.

    The values are stored as they are: no expressions, no columns of a kind that this module does
    not know. `on_conflict` is SQL of ours that both databases understand.
    """
    if not rows:
        return
    fields = [
        field
        for field in rows[0]._meta.local_concrete_fields
        if not isinstance(field, models.AutoField)
    ]
    into = (
        f"INSERT INTO {rows[0]._meta.db_table} "  # names of ours
        f"({', '.join(str(field.column) for field in fields)}) "
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One value a column: so much less to parse and to plan than one a row and column.
            places = ", ".join(f"%s::{_type(field)}[]" for field in fields)
            columns = [list(column) for column in zip(*_values(rows, fields), strict=True)]
            cursor.execute(f"{into}SELECT * FROM unnest({places}) {on_conflict}", columns)  # noqa: S608  # names of ours
        else:
            places = ", ".join(["%s"] * len(fields))
            sql = f"{into}VALUES ({places}) {on_conflict}"
            cursor.executemany(sql, list(_values(rows, fields)))


def _values(
    rows: Sequence[models.Model], fields: Sequence[models.Field[Any, Any]]
) -> Iterator[list[Any]]:
    get = attrgetter(*(field.attname for field in fields))
    adapted = [
        (index, adapt)
        for index, field in enumerate(fields)
        if (adapt := _adapter(field)) is not None
    ]
    for row in rows:
        values = list(get(row))
        for index, adapt in adapted:
            if values[index] is not None:
                values[index] = adapt(values[index])
        yield values


def _adapter(field: models.Field[Any, Any]) -> Callable[[Any], Any] | None:
    """Return what makes of a value what the database takes."""
    if isinstance(field, models.JSONField):
        return json.dumps
    if connection.vendor == "postgresql":
        # It takes times and identifiers as they are; members of an enumeration would be of a type
        # of their own.
        return _PLAIN.get(field.get_internal_type())
    if isinstance(field, models.DateTimeField):
        return connection.ops.adapt_datetimefield_value
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    return attrgetter("hex") if isinstance(target, models.UUIDField) else None


def _type(field: models.Field[Any, Any]) -> str:
    """Return the type of a column without its length, which the table judges."""
    return str(field.db_type(connection)).partition("(")[0]
