"""Which networks the console and the roles are limited to, remembered in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accounts.engine.networks import allows
from accounts.models import AccessChange, Installation, RolePolicy
from accounts.selectors.access import standing
from core.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 300.0
"""The feed drops it at once; this is for a process that does not follow the feed."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists in force; an empty one limits nobody."""

    console: tuple[str, ...]
    roles: Mapping[str, tuple[str, ...]]
    """Those of roles that have one, by the role's name."""

    def let_somebody_in(self, address: str) -> bool:
        """Tell whether anybody at all could use the console from there."""
        return allows(self.console, address) or any(
            allows(listed, address) for listed in self.roles.values()
        )

    def allow_role(self, role: str, address: str) -> bool:
        """Tell whether the list of a role, if it has one, holds the address."""
        return allows(self.roles.get(role, ()), address)


_known: Final = Memory[None, Lists](seconds=_SECONDS)


def lists() -> Lists:
    """Return the lists; no query while they are remembered."""
    return _known.of(None, _read)


def forget(_value: str = "") -> None:
    """Read the lists anew at the next question."""
    _known.forget_all()


def _read() -> Lists:
    console = Installation.objects.filter(pk=1).values_list("console_networks", flat=True).first()
    roles = RolePolicy.objects.exclude(networks=[]).values_list("group__name", "networks")
    return Lists(tuple(console or ()), {name: tuple(networks) for name, networks in roles})


standing.listen(AccessChange.Kind.NETWORKS, forget)
standing.listen_to_restore(forget)
