"""What a person is and may do, as one value that every check asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One person at one moment; it is read anew after each change that the feed tells."""

    user_id: UUID
    username: str
    is_active: bool
    is_staff: bool
    is_superuser: bool
    must_change_password: bool
    epoch: str
    """`<generation of the installation>.<epoch of the person>`: what is signed in names it."""
    roles: frozenset[str]
    permissions: frozenset[str]
    mfa_required: bool
    networks: tuple[tuple[str, ...], ...]
    """One list for each role that has one; an address must be in each of them."""

    def may(self, permission: str) -> bool:
        """Tell whether the person has the permission now."""
        return self.is_active and (self.is_superuser or permission in self.permissions)

    def granted(self, asked: frozenset[str]) -> frozenset[str]:
        """Return which of the permissions asked for the person has now."""
        if not self.is_active:
            return frozenset()
        return asked if self.is_superuser else asked & self.permissions

    @property
    def role(self) -> str:
        """Return the roles as one label."""
        if self.is_superuser:
            return "superuser"
        return "+".join(sorted(self.roles)) or "none"
