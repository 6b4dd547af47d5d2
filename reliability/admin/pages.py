"""What the pages of one service, check, incident or test have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from core.errors import DomainError
from reliability.engine.history import Stood
from reliability.selectors import bars
from reliability.selectors.history import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.admin import ModelAdmin
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse

    from core.charts import StatusBar
    from reliability.engine.history import History

M = TypeVar("M", bound="Model")

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
    if total.worst in {Stood.ABSENT, Stood.PAUSED}:
        return "not watched"
    parts = [f"{bars.span(total.down)} down"] if total.down else []
    if total.coverage is not None and total.coverage < _NEARLY_ALL:
        parts.append(f"{bars.percent(total.coverage)} known")
    return ", ".join(parts) or "no outage"


def show(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    template: str,
    *,
    title: str,
    original: Model,
    **context: object,
) -> TemplateResponse:
    """Return a page of the console about one row."""
    request.current_app = model_admin.admin_site.name
    everything = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "original": original,
        **context,
    }
    return TemplateResponse(request, f"admin/reliability/{template}", everything)


def seen(model_admin: ModelAdmin[M], request: HttpRequest, object_id: object) -> M:
    """Return the row; raises PermissionDenied if this person may not see it, Http404 without it."""
    found = model_admin.get_object(request, unquote(str(object_id)))
    if not model_admin.has_view_permission(request, found):
        raise PermissionDenied
    if found is None:
        message = f"There is no such {model_admin.opts.verbose_name}."
        raise Http404(message)
    return found


def act(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    page: str,
    done: str,
    work: Callable[[], object],
) -> HttpResponse:
    """Do what a form asked for, say how it went, and go back to the page."""
    try:
        work()
    except DomainError as error:
        details = [text for texts in error.errors.values() for text in texts]
        model_admin.message_user(request, (details or [error.message])[0], messages.ERROR)
    else:
        model_admin.message_user(request, done, messages.SUCCESS)
    return HttpResponseRedirect(page)


class PagedList(ChangeList):
    """A list whose rows lead to the page of the thing, not to its form."""

    def url_for_result(self, result: Model) -> str:
        """Return where the first column leads."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_page"
        return reverse(name, args=[result.pk], current_app=self.model_admin.admin_site.name)
