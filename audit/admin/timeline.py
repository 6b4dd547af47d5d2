"""Everything of one actor, one target, one session, request or address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from audit.admin import pages, shown
from audit.selectors import search

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse

    from audit.models import AuditRecord

_PAGE: Final = 50
_KEYS: Final = ("actor_kind", "actor", "target_type", "target", "session", "request_id", "address")


def page(admin: ModelAdmin[AuditRecord], request: HttpRequest) -> HttpResponse:
    """Show it, newest first."""
    given = {name: request.GET[name] for name in _KEYS if request.GET.get(name)}
    rows = search.found(given).order_by("-id")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdecimal() and len(before) < 19:  # noqa: PLR2004  # digits of a big integer
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: _PAGE + 1])
    more = len(found) > _PAGE
    context = {
        "of": _of(given, found[0] if found else None),
        "days": _days(found[:_PAGE]),
        "older": shown.timeline_url(**given, before=str(found[_PAGE - 1].pk)) if more else "",
        "newest": shown.timeline_url(**given) if before else "",
    }
    return pages.page(admin, request, "timeline", f"{context['of']}: all acts", **context)


def _of(given: dict[str, str], first: AuditRecord | None) -> str:
    if "actor" in given:
        return first.actor_name if first is not None else given["actor"]
    if "target" in given:
        return shown.target_name(first) if first is not None else given["target"]
    for name, word in (("session", "Session"), ("request_id", "Request"), ("address", "Address")):
        if name in given:
            return f"{word} {given[name]}"
    return "Everybody"


def _days(rows: list[AuditRecord]) -> list[tuple[str, list[dict[str, Any]]]]:
    days: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        day = f"{row.at:%A}, {row.at.day} {row.at:%B %Y}"
        days.setdefault(day, []).append(
            {
                "row": row,
                "tone": shown.TONES.get(row.outcome, ""),
                "who": shown.actor_link(row),
                "target": shown.target_link(row),
                "difference": shown.difference(row),
                "at": shown.moment(row.at),
                "is_new": shown.is_creation(row),
            }
        )
    return list(days.items())
