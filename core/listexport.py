"""Lists of the console as files: what the filters show, column by column, as text."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.contrib.admin.utils import label_for_field, lookup_field
from django.dispatch import Signal
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeData
from django.utils.text import capfirst

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.http import HttpRequest

    from core.adminbase import ConsoleAdmin

FORMS: Final = ("csv", "json")
MOST_ROWS: Final = 100_000
_AT_ONCE: Final = 500
_TIME: Final = re.compile(r'<time datetime="([^"]*)">[^<]*</time>')
# A spreadsheet runs a cell that begins so as a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

exported: Final = Signal()
"""Sent before the first row leaves, with `request`, `model`, `form`, `rows` and `query`."""


class _Echo:
    def write(self, text: str) -> str:
        return text


def export(
    model_admin: ConsoleAdmin[Any], request: HttpRequest, cl: ChangeList, form: str
) -> StreamingHttpResponse:
    """Return the rows that the filters show as a CSV or JSON file, at most MOST_ROWS of them."""
    names = [
        str(name)
        for name in cl.list_display
        if name not in {"action_checkbox", *model_admin.export_without}
    ]
    labels = [
        capfirst(str(label_for_field(name, model_admin.model, model_admin=model_admin)))
        for name in names
    ]
    found = cl.queryset[: MOST_ROWS + 1].count()
    rows = _cells(model_admin, request, cl, names)
    exported.send(
        type(model_admin),
        request=request,
        model=model_admin.model,
        form=form,
        rows=min(found, MOST_ROWS),
        query=request.GET.urlencode(),
    )
    body, kind = (
        (_csv(labels, rows), "text/csv; charset=utf-8")
        if form == "csv"
        else (_json(labels, rows), "application/json")
    )
    cut = f"-first-{MOST_ROWS}" if found > MOST_ROWS else ""
    noun = str(model_admin.opts.verbose_name_plural).replace(" ", "-")
    name = f"{noun}-{timezone.now():%Y-%m-%d}{cut}.{form}"
    return StreamingHttpResponse(
        _parcels(body),
        content_type=kind,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _parcels(lines: Iterator[str]) -> Iterator[str]:
    """Join lines: each part of an answer costs its sender as much as many lines do."""
    while parcel := list(islice(lines, _AT_ONCE)):
        yield "".join(parcel)


def _cells(
    model_admin: ConsoleAdmin[Any], request: HttpRequest, cl: ChangeList, names: list[str]
) -> Iterator[list[str]]:
    rows = cl.queryset[:MOST_ROWS].iterator(chunk_size=_AT_ONCE)
    while chunk := list(islice(rows, _AT_ONCE)):
        model_admin.complete(request, chunk)
        for row in chunk:
            yield [_text(*lookup_field(name, row, model_admin)) for name in names]


def _text(field: Any, _: object, value: object) -> str:  # noqa: ANN401  # a field, a relation or nothing
    if value in {None, "-"}:
        # The list's own sign for nothing.
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if choices := getattr(field, "flatchoices", None):
        return str(dict(choices).get(value, value))
    if isinstance(value, SafeData):
        return unescape(strip_tags(_TIME.sub(r"\1", str(value)))).strip()
    return str(value)


def _csv(labels: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(labels)
    for row in rows:
        yield writer.writerow([harmless(text) for text in row])


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet runs."""
    # Line feeds and spaces of any kind are passed over before a formula is looked for.
    is_formula = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{text}" if is_formula else text


def _json(labels: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        pairs = dict(zip(labels, row, strict=True))
        yield f"{',' if number else ''}\n{json.dumps(pairs, ensure_ascii=False)}"
    yield "\n]\n"
