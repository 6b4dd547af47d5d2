"""System checks of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.checks import CheckMessage, Error, Tags, register

from audit.selectors.guards import existing, missing

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN: Final = 5


@register(Tags.database)
def triggers_are_there(databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """Refuse a database whose audit log could be changed unnoticed."""
    return [
        Error(
            f"Triggers of the audit log are missing or changed: {', '.join(lost[:_SHOWN])}"
            f"{' and more' if len(lost) > _SHOWN else ''}.",
            hint="Find out who took them away, then run: manage.py migrate",
            id="audit.E001",
        )
        for using in databases or ()
        # A database without any is a new one: its migrations come first.
        if existing(using) and (lost := missing(using))
    ]
