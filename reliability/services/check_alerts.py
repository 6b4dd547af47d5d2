"""The alert that follows what a check stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reliability.engine.rules import CHECK_DOWN
from reliability.services import alerts

if TYPE_CHECKING:
    from datetime import datetime

    from core.actors import Actor
    from reliability.engine.probe import Result
    from reliability.models import Alert, Check

# What the title of a message says of a check after its name.
IS_DOWN: Final = "is down"
UP_AGAIN: Final = "is up again"
SWITCHED_OFF: Final = "is no longer checked: switched off"
DELETED: Final = "is no longer checked: deleted"


def key_of(check: Check) -> dict[str, str]:
    """Return what tells the alerts of one check from those of others."""
    return {"check": str(check.pk)}


def name_of(check: Check) -> str:
    """Return what titles call a check."""
    return f"{check.service.name} ({check.name})" if check.name else check.service.name


def went_down(*, actor: Actor, check: Check, result: Result, since: datetime) -> Alert:
    """Raise the alert of a check that went down, or count it once more."""
    return alerts.fire(
        actor=actor,
        rule=CHECK_DOWN,
        key=key_of(check),
        title=f"{name_of(check)} {IS_DOWN}",
        detail=result.detail,
        at=since,
        service=check.service,
        check=check,
        excerpt=result.excerpt,
        failure=result.failure or "",
    )


def came_up(*, actor: Actor, check: Check, since: datetime) -> Alert | None:
    """End the alert of a check that is up again, if there is one."""
    text = f"Up since {since:%Y-%m-%d %H:%M:%S} UTC."
    return alerts.resolve(
        actor=actor, rule=CHECK_DOWN, key=key_of(check), at=since, text=text, what=UP_AGAIN
    )


def switched_off(*, actor: Actor, check: Check) -> int:
    """End all alerts of a check that nobody asks any more."""
    text = "The check was switched off."
    return alerts.end_all(actor=actor, check=check, what=SWITCHED_OFF, text=text)


def deleted(*, actor: Actor, check: Check) -> int:
    """End all alerts of a check before it goes."""
    return alerts.end_all(actor=actor, check=check, what=DELETED, text="The check was deleted.")
