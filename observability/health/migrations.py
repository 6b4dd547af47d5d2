"""Ask whether the database has the shape that this code expects."""

from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from observability.engine.findings import OK, Finding, down


def probe() -> Finding:
    """Compare the last migration of every app with those that were applied."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return down("cannot be read")
    missing = last_migrations() - applied.keys()
    return down("some are not applied; run migrate") if missing else OK


@cache
def last_migrations() -> frozenset[tuple[str, str]]:
    """Return the newest migration of every app; the code does not change while it runs."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())
