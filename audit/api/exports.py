"""The audit log as a file: JSON Lines or CSV, streamed, each row with its proof."""

from __future__ import annotations

import csv
import json
from datetime import UTC
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from audit.engine.payload import SHOWN, read
from core.listexport import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from audit.models import AuditRecord

FORMS: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_COLUMNS: Final = ("id", "seq", *SHOWN[1:], "mac", "digest")
_AT_ONCE: Final = 500


def lines(rows: Iterable[AuditRecord], form: str) -> Iterator[str]:
    """Yield the file in parcels of many lines."""
    made = _csv(rows) if form == "csv" else _jsonl(rows)
    while parcel := list(islice(made, _AT_ONCE)):
        yield "".join(parcel)


def _values(row: Any) -> dict[str, Any]:  # noqa: ANN401  # a record with its place
    digest = bytes(row.digest).hex() if row.digest is not None else None
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    own = {"at": at, "details": row.payload, "digest": digest}
    return {name: own[name] if name in own else getattr(row, name) for name in _COLUMNS}


def _jsonl(rows: Iterable[AuditRecord]) -> Iterator[str]:
    for row in rows:
        values = _values(row)
        values["details"] = read(values["details"])
        yield f"{json.dumps(values, ensure_ascii=False)}\n"


class _Echo:
    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterable[AuditRecord]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(_COLUMNS)
    for row in rows:
        cells = _values(row).values()
        yield writer.writerow(["" if cell is None else harmless(str(cell)) for cell in cells])
