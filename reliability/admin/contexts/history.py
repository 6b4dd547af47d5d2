"""The history of a service or a check as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reliability.engine.history import Stood
from reliability.selectors import bars
from reliability.selectors.history import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from core.charts import StatusBar
    from reliability.engine.history import History

_NEARLY_ALL: Final = 0.995


@dataclass(frozen=True)
class Window:
    """One window of a history: its figures in words, and the link that shows it."""

    key: str
    words: str
    availability: str
    is_covered: bool
    context: str
    href: str
    is_current: bool


def history_of(request: HttpRequest, found: Mapping[str, History]) -> dict[str, Any]:
    """Return the bar of the window that the query string asks for, and the figures of all."""
    asked = request.GET.get("window", "")
    current = asked if asked in WINDOWS else "24h"
    bar: StatusBar = bars.bar_of(found[current], current)
    shown = []
    for key, one in found.items():
        query = request.GET.copy()
        query["window"] = key
        shown.append(
            Window(
                key=key,
                words=bars.words(key),
                availability=bars.availability(one.total),
                is_covered=one.total.is_covered,
                context=_context(one),
                href=f"?{query.urlencode()}",
                is_current=key == current,
            )
        )
    return {"bar": bar, "windows": shown, "window": bars.words(current)}


def _context(found: History) -> str:
    total = found.total
    if total.worst is Stood.MAINTENANCE:
        return "maintenance"
    if total.worst in {Stood.ABSENT, Stood.PAUSED}:
        return "not watched"
    parts = [f"{bars.span(total.down)} down"] if total.down else []
    if total.coverage is not None and total.coverage < _NEARLY_ALL:
        parts.append(f"{bars.percent(total.coverage)} known")
    return ", ".join(parts) or "no outage"
