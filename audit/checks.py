"""System checks of the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.checks import CheckMessage, Error, Tags, register

from audit.selectors.guards import is_current, missing

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN: Final = 5


@register(Tags.database)
def triggers_are_there(databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """Refuse a database whose audit log could be changed unnoticed.

    A database of an earlier version is not judged: its migrations come first.
    """
    return [
        Error(
            f"Triggers of the audit log are missing, changed or foreign: "
            f"{', '.join(lost[:_SHOWN])}{' and more' if len(lost) > _SHOWN else ''}.",
            hint="Find out who did it. manage.py prepare puts those of the platform back and "
            "records it; foreign ones must be dropped by hand.",
            id="audit.E001",
        )
        for using in databases or ()
        if is_current(using) and (lost := missing(using))
    ]
