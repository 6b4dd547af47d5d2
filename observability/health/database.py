"""Ask whether the database answers."""

from django.db import DatabaseError, connection

from observability.engine.findings import OK, Finding, down


def probe() -> Finding:
    """Ask for a constant over a connection of its own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return down("does not answer")
    return OK
