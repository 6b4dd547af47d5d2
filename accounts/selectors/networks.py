"""Which networks the console and the roles are limited to, remembered in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accounts.engine.networks import allows
from accounts.models import AccessChange, Installation, RolePolicy
from accounts.selectors.access import standing

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


class _Memory:
    """The lists as this process last read them."""

    def __init__(self) -> None:
        self.lists: Lists | None = None
        self.until = 0.0
        self.turn = 0


_memory = _Memory()


def lists() -> Lists:
    """Return the lists; no query while they are remembered."""
    found = _memory.lists
    if found is not None and time.monotonic() < _memory.until:
        return found
    # A change that comes in while the rows are read makes what was read unfit to be kept.
    turn = _memory.turn
    read = _read()
    if turn == _memory.turn:
        _memory.lists, _memory.until = read, time.monotonic() + _SECONDS
    return read


def forget(_value: str = "") -> None:
    """Read the lists anew at the next question."""
    _memory.turn += 1
    _memory.lists = None


def _read() -> Lists:
    console = Installation.objects.filter(pk=1).values_list("console_networks", flat=True).first()
    roles = RolePolicy.objects.exclude(networks=[]).values_list("group__name", "networks")
    return Lists(tuple(console or ()), {name: tuple(networks) for name, networks in roles})


standing.listen(AccessChange.Kind.NETWORKS, forget)
standing.listen_to_restore(forget)
