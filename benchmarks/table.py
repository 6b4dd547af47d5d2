"""What a benchmark found, as rows of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = ("What", "Ours", "Against", "Its value", "Ratio")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside what it is held against: a limit of ours, or a peer measured here."""

    what: str
    ours: float
    unit: str
    against: str
    its_value: float
    higher_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Return how many times better ours is; below 1 it is worse."""
        better, worse = self.ours, self.its_value
        if not self.higher_is_better:
            better, worse = worse, better
        return better / worse if worse else float("inf")


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table whose columns are aligned."""
    cells = [
        (
            row.what,
            f"{_number(row.ours)} {row.unit}",
            row.against,
            f"{_number(row.its_value)} {row.unit}",
            f"{row.ratio:.2f}",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
    lines = [
        _line(_HEAD, widths),
        _line(["-" * width for width in widths], widths),
        *(_line(row, widths) for row in cells),
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"| {' | '.join(texts)} |"


def _number(value: float) -> str:
    """Return three significant digits, or all of a larger whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
