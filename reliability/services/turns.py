"""Whose turn it is to change the alerts and incidents of a service."""

from __future__ import annotations

from typing import Final

from django.db import connection

# Tells these locks from others; the second number is the service.
_LOCK: Final = 0x0A1E27
_NUMBERS: Final = 2**31


def take(service_id: int | None) -> None:
    """Wait for the turn of a service, or of what has none, and keep it for the transaction.

    An alert leads to its incident and an incident to its alerts, so that their rows have no order
    in which all could lock them; neither can a row be locked that is about to be inserted. Whoever
    changes several services takes their turns in the order of their ids, after all locks on states
    of checks. SQLite has one writer at a time.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            number = (service_id or 0) % _NUMBERS
            cursor.execute("SELECT pg_advisory_xact_lock(%s::int, %s::int)", [_LOCK, number])
