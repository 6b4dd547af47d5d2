"""Time zones that mean the same on every machine."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

# What these mean depends on the machine, or is no place at all.
_OF_THE_MACHINE: Final = frozenset({"localtime", "Factory", "posixrules"})


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """Return the names of time zones that people may choose."""
    return frozenset(available_timezones() - _OF_THE_MACHINE)
