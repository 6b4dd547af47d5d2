"""Moments as whole numbers from the database: making a date of each costs more than all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import BigIntegerField, Func

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler


class Micros(Func):
    """A moment as whole microseconds since 1970, as exact as it is stored."""

    output_field = BigIntegerField()

    def get_db_converters(
        self,
        connection: BaseDatabaseWrapper,  # noqa: ARG002  # the signature is Django's
    ) -> list[Any]:
        """Both databases return whole numbers; asking Python again costs as much as reading."""
        return []

    def as_sqlite(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **more: Any,  # noqa: ANN401
    ) -> tuple[str, Any]:
        """Take the text apart: a Julian day is too short for microseconds."""
        template = (
            "(CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) * 1000000"
            " + CAST(substr(%(expressions)s, 21, 6) AS INTEGER))"
        )
        return super().as_sql(compiler, connection, template=template, **more)

    def as_postgresql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **more: Any,  # noqa: ANN401
    ) -> tuple[str, Any]:
        """Ask for the epoch, which is a decimal number."""
        template = "(EXTRACT(EPOCH FROM %(expressions)s) * 1000000)::bigint"
        return super().as_sql(compiler, connection, template=template, **more)
