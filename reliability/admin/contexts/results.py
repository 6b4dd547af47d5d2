"""What the page of a check's results shows: any day, however it is stored."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from core.components import Column, Table
from reliability.admin.contexts.shared import verdict
from reliability.admin.display import milliseconds
from reliability.selectors import results

if TYPE_CHECKING:
    from django.http import HttpRequest

    from reliability.models import Check
    from reliability.selectors.results import Found

_SHOWN: Final = 200
_DAY: Final = timedelta(days=1)
_COLUMNS: Final = (
    Column("At, UTC"),
    Column("Result"),
    Column("Answer"),
    Column("Asked"),
    Column("Latency", numeric=True),
)


def results_context(request: HttpRequest, check: Check) -> dict[str, Any]:
    """Return the results of the day that the query names, newest first."""
    today = timezone.now().astimezone(UTC).date()
    day = _day(request.GET.get("day", ""), today)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + _DAY
    only_failed = request.GET.get("failed") == "1"
    until = _moment(request.GET.get("before", ""), start, end)
    found = results.of_check(check.pk, start=start, end=until)
    rows = (one for one in found if not (only_failed and one.ok))
    shown = list(islice(rows, _SHOWN))
    further = next(rows, None)
    while further is not None and further.at == shown[-1].at:
        shown.append(further)
        further = next(rows, None)
    kept = {"failed": "1"} if only_failed else {}
    older = None
    if further is not None:
        older = {"day": day.isoformat(), "before": shown[-1].at.isoformat(), **kept}
    counts = results.counts([check.pk], start=start, end=end)
    file = reverse("check-results-file", args=[check.pk])
    return {
        "day": day.isoformat(),
        "today": today.isoformat(),
        "day_before": f"?{urlencode({'day': (day - _DAY).isoformat(), **kept})}",
        "day_after": ""
        if day >= today
        else f"?{urlencode({'day': (day + _DAY).isoformat(), **kept})}",
        "older": f"?{urlencode(older)}" if older else "",
        "is_cut": until < end,
        "only_failed": only_failed,
        "counts": counts,
        "share_failed": f"{100 * counts.bad / counts.n:.2f} %" if counts.n else "",
        "file": f"{file}?{urlencode({'start': _text(start), 'end': _text(end)})}",
        "results": _table(shown, only_failed=only_failed),
    }


def _table(found: list[Found], *, only_failed: bool) -> Table:
    return Table(
        columns=_COLUMNS,
        rows=[
            [
                f"{one.at.astimezone(UTC):%H:%M:%S}",
                verdict(ok=one.ok),
                results.answer_of(one.detail, one.status_code),
                "by hand" if one.manual else "",
                milliseconds(one.latency_ms),
            ]
            for one in found
        ],
        caption="Results",
        empty="Nothing failed on this day." if only_failed else "No result on this day.",
    )


def _day(text: str, today: date) -> date:
    """Return the day that was asked for; whatever is no day of ours is today."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today
    return day if day.year >= 1971 and day <= today else today  # noqa: PLR2004  # the first days cannot be stored everywhere


def _moment(text: str, start: datetime, end: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return end
    return moment if moment.tzinfo is not None and start <= moment <= end else end


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
