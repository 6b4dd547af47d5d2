"""Who acts: a value that any app can carry, whatever stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID


class ActorKind(StrEnum):
    """What stands behind an act."""

    USER = "user"
    API_KEY = "api_key"
    DASHBOARD_KEY = "dashboard_key"
    COMMAND = "command"
    SCHEDULE = "schedule"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts; `key` stays the same when the name changes."""

    kind: ActorKind
    key: str
    name: str
    user_id: UUID | None = None

    @classmethod
    def command(cls, name: str) -> Actor:
        """Return the actor of a management command."""
        return cls(ActorKind.COMMAND, name, f"command {name}")

    @classmethod
    def schedule(cls, name: str) -> Actor:
        """Return the actor of a periodic job or a loop."""
        return cls(ActorKind.SCHEDULE, name, f"{name} (schedule)")


SYSTEM: Final = Actor(ActorKind.SYSTEM, "system", "OpsPlatform")
ANONYMOUS: Final = Actor(ActorKind.ANONYMOUS, "", "anonymous")
