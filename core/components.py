"""What the pages of the console are made of: one table of tones, badges, times and tables.

The tags of `core.templatetags.components` render these in templates; code that fills a column of
a list calls `badge` and `when` itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from django.core.paginator import Page, Paginator
from django.utils.html import format_html
from django.utils.text import capfirst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.db.models import QuerySet
    from django.http import HttpRequest, QueryDict


class Tone(StrEnum):
    """How something stands; each has a colour, a glyph and a soft background."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    INFO = "info"
    UNKNOWN = "unknown"


_WORDS: Final[dict[Tone, str]] = {
    Tone.OK: "up ok good resolved closed done sent delivered working routed allowed active passed",
    Tone.WARN: "degraded flapping suspect recovering acknowledged mitigated warning retry paused "
    "late lost no_channel",
    Tone.BAD: "down triggered critical failed failing firing dead refused denied error",
    Tone.INFO: "info pending queued running sending",
}
_TONES: Final = {word: tone for tone, words in _WORDS.items() for word in words.split()}


def tone_of(word: str) -> Tone:
    """Return the tone of a state's word; what no table names is unknown, never good."""
    return _TONES.get(word.lower(), Tone.UNKNOWN)


def badge(word: str, text: str = "", tone: str = "") -> str:
    """Return a coloured label; the text alone must say everything."""
    shown = text or capfirst(word.replace("_", " "))
    return format_html('<span class="badge badge-{}">{}</span>', Tone(tone or tone_of(word)), shown)


def when(moment: datetime | None, none: str = "-") -> str:
    """Return a time that the page shows relative and local; without a script it stays UTC."""
    if moment is None:
        return none
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}</time>',
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{utc.day} {utc:%b %Y %H:%M:%S} UTC",
    )


@dataclass(frozen=True)
class Column:
    """A column of a table; `sort` names the field to order by, empty where none fits."""

    label: str
    numeric: bool = False
    sort: str = ""
    room: Literal["", "medium", "wide"] = ""
    """How wide its table must be to show it; what matters most is always shown."""

    @property
    def css(self) -> str:
        """Return the classes of its cells."""
        return " ".join(filter(None, ("numeric" * self.numeric, self.room and f"room-{self.room}")))


@dataclass(frozen=True)
class Heading:
    """A column's head as the page shows it: where a click leads and how it is ordered now."""

    label: str
    css: str
    href: str
    order: str
    """The value of `aria-sort`: ascending, descending, or empty."""


@dataclass(frozen=True)
class Table:
    """Rows with their heads; `page` and `order` come from the query string, see `table_of`."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    """Cells in the columns' order; text is escaped, `badge` and `when` stay markup."""
    caption: str = ""
    page: Page[Any] | None = None
    order: str = ""
    name: str = ""
    """Prefix of the query parameters, so that two tables can stand on one page."""
    empty: str = "Nothing here yet."

    def headings(self, query: QueryDict) -> list[Heading]:
        """Return the heads; a click on the ordered column turns its order around."""
        heads = []
        for column in self.columns:
            is_ordered = bool(column.sort) and self.order.lstrip("-") == column.sort
            turned = f"-{column.sort}" if is_ordered and self.order == column.sort else column.sort
            href = _link(query, {f"{self.name}sort": turned, f"{self.name}page": ""})
            ascending = "descending" if self.order.startswith("-") else "ascending"
            heads.append(
                Heading(
                    column.label,
                    column.css,
                    href if column.sort else "",
                    ascending if is_ordered else "",
                )
            )
        return heads

    def cells(self) -> list[list[tuple[object, str]]]:
        """Return each row as pairs of a cell and its classes."""
        classes = [column.css for column in self.columns]
        return [list(zip(row, classes, strict=True)) for row in self.rows]

    def page_links(self, query: QueryDict) -> list[tuple[str, str]]:
        """Return the pages around this one as pairs of text and link; this one has no link."""
        return page_links(self.page, query, self.name) if self.page is not None else []


def page_links(page: Page[Any], query: QueryDict, name: str = "") -> list[tuple[str, str]]:
    """Return the pages around one as pairs of text and link; the one that is shown has no link."""
    if not page.has_other_pages():
        return []
    near = page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
    return [
        (
            str(number),
            ""
            if number in {page.number, Paginator.ELLIPSIS}
            else _link(query, {f"{name}page": str(number)}),
        )
        for number in near
    ]


def table_of(
    request: HttpRequest,
    rows: QuerySet[Any],
    columns: Sequence[Column],
    cells: Callable[[Any], Sequence[object]],
    *,
    caption: str = "",
    order: str = "",
    name: str = "",
    per_page: int = 25,
    empty: str = "Nothing here yet.",
    paginator: type[Paginator[Any]] = Paginator,
) -> Table:
    """Order and page rows as the query string asks; only columns with a `sort` can be chosen."""
    allowed = {column.sort for column in columns if column.sort}
    asked = request.GET.get(f"{name}sort", "")
    chosen = asked if asked.removeprefix("-") in allowed else order
    if chosen:
        # Rows with equal values keep their place from page to page.
        rows = rows.order_by(chosen, "-pk" if chosen.startswith("-") else "pk")
    page = paginator(rows, per_page).get_page(request.GET.get(f"{name}page"))
    return Table(
        columns=columns,
        rows=[cells(row) for row in page.object_list],
        caption=caption,
        page=page,
        order=chosen,
        name=name,
        empty=empty,
    )


@dataclass(frozen=True)
class Tab:
    """A tab: a link to a page, or to the same page with another query."""

    label: str
    href: str
    is_current: bool = False
    count: int | None = None


@dataclass(frozen=True)
class Progress:
    """Long work: what it does now, how far it is, and where a POST cancels it."""

    label: str
    done: int = 0
    total: int = 0
    """0 while nobody can say; the bar then only shows that it works."""
    phase: str = ""
    started_at: datetime | None = None
    cancel_url: str = ""


def _link(query: QueryDict, changes: Mapping[str, str]) -> str:
    changed = query.copy()
    for key, value in changes.items():
        if value:
            changed[key] = value
        else:
            changed.pop(key, None)
    return f"?{changed.urlencode()}"
