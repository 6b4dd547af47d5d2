"""The public status page: what strangers may know, without cookies and without scripts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed
from django.utils.http import http_date, parse_etags

from core.rest.permissions import PUBLIC
from reliability.pages.copies import FRESH_SECONDS, Copies, Copy
from reliability.selectors import status

if TYPE_CHECKING:
    from collections.abc import Callable

    from reliability.selectors.status import Planned, Trouble

P = ParamSpec("P")

LATE: Final = b"<!--late-->"
"""Where a page says that it is an old copy."""
_MONTHS: Final = "%Y-%m"
_MOST_PAGE: Final = 1_000_000
# What XML cannot hold, whatever it is escaped as.
_NO_XML: Final = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

copies = Copies()


def _public(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Let everybody read; nothing here is changed by anybody."""

    @wraps(view)
    def run(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return view(request, *args, **kwargs)

    run.capabilities = {"GET": PUBLIC}  # type: ignore[attr-defined]  # read by the tests of architecture
    return cast("Callable[Concatenate[HttpRequest, P], HttpResponse]", run)


@_public
def page(request: HttpRequest) -> HttpResponse:
    """Show how the services stand that are on the page."""
    number = _number(request.GET.get("page", "1"))
    copy = copies.of(f"page-{number}", lambda: _page(number), lasting=number == 1)
    return _answer(request, copy)


@_public
def history(request: HttpRequest) -> HttpResponse:
    """Show the incidents of a month."""
    now = timezone.now()
    asked = request.GET.get("month", "")
    month = status.month_of(asked or f"{now:%Y-%m}", now)
    if month is None:
        message = "There is no such month."
        raise Http404(message)
    name = f"history-{month[0]:%Y-%m}"
    copy = copies.of(name, lambda: _history(*month), lasting=month[1] > now)
    return _answer(request, copy)


@_public
def feed(request: HttpRequest) -> HttpResponse:
    """Give incidents and maintenance as an Atom feed."""
    copy = copies.of("feed", _feed, lasting=True)
    return _answer(request, copy, "application/atom+xml; charset=utf-8")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:8]) <= _MOST_PAGE:
        message = "There is no such page."
        raise Http404(message)
    return int(text[:8])


def _page(number: int) -> bytes | None:
    shown = status.status_page(number)
    if shown is None:
        return None
    near = range(max(1, number - 2), min(shown.pages, number + 2) + 1)
    numbers = sorted({1, *near, shown.pages}) if shown.pages > 1 else []
    return _rendered("page", {"shown": shown, "numbers": numbers, "here": "page"})


def _history(start: datetime, end: datetime) -> bytes:
    before, first = start - timedelta(days=1), status.begins_at()
    context = {
        "month": start,
        "found": status.incidents_between(start, end),
        # Before the first service there was nothing to tell.
        "before": f"{before:%Y-%m}" if first is not None and first < start else "",
        "after": f"{end:%Y-%m}" if end <= timezone.now() else "",
        "here": "history",
    }
    return _rendered("history", context)


def _rendered(name: str, context: dict[str, object]) -> bytes:
    everything = {"title": settings.OPS_STATUS_PAGE_TITLE, "now": timezone.now(), **context}
    return render_to_string(f"status/{name}.html", everything).encode()


def _answer(
    request: HttpRequest, copy: Copy | None, kind: str = "text/html; charset=utf-8"
) -> HttpResponse:
    if copy is None:
        message = "There is no such page."
        raise Http404(message)
    headers = {
        "Cache-Control": f"public, max-age={FRESH_SECONDS:.0f}",
        "ETag": copy.tag,
        "Last-Modified": http_date(copy.made_at),
    }
    if copy.tag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponse(status=304, headers=headers)
    body = copy.body.replace(LATE, _LATE_NOTE, 1) if copy.is_late else copy.body
    return HttpResponse(body, content_type=kind, headers=headers)


_LATE_NOTE: Final = (
    b'<p class="late" role="status">The newest state cannot be read for now. '
    b"This is the last known one.</p>"
)


def _feed() -> bytes:
    base = settings.BASE_URL.rstrip("/")
    troubles, planned = status.latest()
    made = Atom1Feed(
        title=_xml(settings.OPS_STATUS_PAGE_TITLE),
        link=f"{base}{reverse('status')}",
        feed_url=f"{base}{reverse('status-feed')}",
        description="Incidents and maintenance.",
        language="en",
    )
    for trouble in troubles:
        _add_trouble(made, trouble, base)
    for plan in planned:
        _add_plan(made, plan, base)
    return made.writeString("utf-8").encode()


def _add_trouble(made: Atom1Feed, trouble: Trouble, base: str) -> None:
    lines = [
        f"{_moment(update.at)} - {update.word}" + (f": {update.text}" if update.text else "")
        for update in trouble.updates
    ]
    over = f"Resolved after {trouble.lasted}." if trouble.ended_at else "Not resolved yet."
    page_of = reverse("status-history")
    made.add_item(
        title=_xml(trouble.title + (" (resolved)" if trouble.ended_at else "")),
        link=f"{base}{page_of}?month={trouble.began_at:%Y-%m}#incident-{trouble.key}",
        description=_xml("\n".join([over, *lines])),
        unique_id=f"{base}{reverse('status')}#incident-{trouble.key}",
        pubdate=trouble.began_at,
        updateddate=max(trouble.updated_at, trouble.ended_at or trouble.began_at),
    )


def _add_plan(made: Atom1Feed, plan: Planned, base: str) -> None:
    touched = ", ".join(plan.names) or "all services"
    times = f"{_moment(plan.starts_at)} to {_moment(plan.ends_at)}: {touched}."
    made.add_item(
        title=_xml(f"Maintenance: {plan.title}"),
        link=f"{base}{reverse('status')}#maintenance-{plan.key}",
        description=_xml(f"{times}\n{plan.text}".strip()),
        unique_id=f"{base}{reverse('status')}#maintenance-{plan.key}",
        pubdate=plan.starts_at,
        updateddate=min(plan.starts_at, timezone.now()),
    )


def _xml(text: str) -> str:
    return _NO_XML.sub(" ", text)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
