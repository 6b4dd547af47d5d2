"""Keep the triggers of the audit log in place through changes of the schema."""

from __future__ import annotations

from typing import Any

from audit.services import guards


def make_room(using: str, plan: list[Any], **_: object) -> None:
    """Take the triggers away before tables change: SQLite refuses to rename under them."""
    if plan:
        guards.remove(using)


def put_back(using: str, **_: object) -> None:
    """Put them back afterwards, and after a flush."""
    guards.install(using)
