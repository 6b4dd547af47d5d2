"""A place in the notification centre, as addresses hold it: `alerts-120.me-7`.

One number for each feed; a person's own is `me`, so that no address names a person.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_OWN: Final = "me"
_MOST: Final = 10
_PART: Final = re.compile(r"([a-z]{1,50})-([0-9]{1,18})")


def written(place: Mapping[str, int]) -> str:
    """Return the text of a place."""
    return ".".join(f"{_name(name)}-{number}" for name, number in sorted(place.items()))


def read(text: str, own: str) -> dict[str, int] | None:
    """Return the place that a text names, or None if it names none; `own` is the reader's feed."""
    parts = [_PART.fullmatch(part) for part in text.split(".", _MOST)]
    if not all(parts) or len(parts) > _MOST:
        return None
    return {
        own if found[1] == _OWN else f"topic:{found[1]}": int(found[2])
        for found in parts
        if found is not None
    }


def _name(audience: str) -> str:
    kind, _, name = audience.partition(":")
    return _OWN if kind == "user" else name
