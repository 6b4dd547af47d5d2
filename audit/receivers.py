"""Keep the triggers of the audit log in place through changes of the schema."""

from __future__ import annotations

from typing import Any, Final

from audit.services import guards

# What was lost before a migration began, by database: told once the tables are there again.
_lost: Final[dict[str, list[str]]] = {}


def make_room(using: str, plan: list[Any], **_: object) -> None:
    """Take the triggers away before tables change: SQLite refuses to rename under them."""
    _lost[using] = guards.lost(using)
    if plan:
        guards.remove(using)


def put_back(using: str, **_: object) -> None:
    """Put them back afterwards, and after a flush; what had been lost before is told."""
    guards.install(using)
    if names := _lost.pop(using, []):
        guards.tell_restored(names)
