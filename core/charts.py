"""What pictures are made of: values that templates draw, without any opinion about apps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Shade(StrEnum):
    """What one bar says; `none` is time that nobody meant to watch."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a history: what it says, and the words for whoever points at it."""

    shade: Shade
    text: str


@dataclass(frozen=True, slots=True)
class StatusBar:
    """A history as bars of equal width; `label` says in words what the bars show."""

    bars: Sequence[Bar]
    label: str
    begin: str = ""
    end: str = ""

    @property
    def runs(self) -> list[tuple[Shade, str]]:
        """Each shade with the path of its bars: four units wide, equal neighbours as one stroke."""
        paths: dict[Shade, list[str]] = {}
        number = 0
        while number < len(self.bars):
            shade, first = self.bars[number].shade, number
            while number < len(self.bars) and self.bars[number].shade is shade:
                number += 1
            paths.setdefault(shade, []).append(f"M{4 * first} 0h{4 * (number - first)}")
        return [(shade, "".join(parts)) for shade, parts in paths.items()]

    @property
    def width(self) -> int:
        """The width of the picture in its own units, without the gap after the last bar."""
        return max(4 * len(self.bars) - 1, 1)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One horizontal bar: a name, a number, and how it reads."""

    name: str
    value: float
    text: str = ""
    href: str = ""
    shade: str = ""
