"""What several pages show."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from accounts.actors import actor_of
from core.errors import DomainError
from reliability.selectors import bars
from reliability.selectors.incidents import SEE_ANSWERS
from reliability.selectors.results import answer_of
from reliability.services import uptime_tests

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse

    from reliability.engine.history import History
    from reliability.models import Check

# From here on a tenth of a millisecond tells nothing more.
_SHORT_MS: Final = 9.95


def clock(moment: datetime) -> str:
    """Return when a result was found, to the second in UTC; the day stands there if it is over."""
    utc = moment.astimezone(UTC)
    day = "" if utc.date() == timezone.now().astimezone(UTC).date() else f"{utc.day} {utc:%b} "
    return format_html('<span class="clock">{}</span>', f"{day}{utc:%H:%M:%S}")


def answer_field(request: HttpRequest) -> tuple[str, ...]:
    """Name the field with what a target answered, for those who may see it."""
    return ("answered",) if request.user.has_perm(SEE_ANSWERS) else ()


def small_bar(past: History | None) -> str:
    """Return the last 24 hours of something as a small picture, where they may be seen."""
    if past is None:
        return ""
    bar = {"bar": bars.bar_of(past, "24h", small=True), "small": True}
    return mark_safe(render_to_string("components/history.html", bar).strip())  # noqa: S308  # a template of ours, which escapes


def web_link(url: str) -> str:
    """Return a link to an address of the web, which leads out of the console."""
    if not url:
        return ""
    return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', url)


def milliseconds(value: float | None) -> str:
    """Return a latency as text, a short one to a tenth; a setting is a whole number."""
    if value is None:
        return ""
    places = 1 if value < _SHORT_MS and value % 1 else 0
    return f"{value:,.{places}f} ms"


def last_answer(check: Check) -> str:
    """Return what a check was answered last."""
    state = check.state
    if state.last_at is None:
        return "none yet"
    return answer_of(state.last_detail, state.last_code)


def run_checks(
    model_admin: ModelAdmin[Any], request: HttpRequest, check_ids: list[int] | None
) -> HttpResponse:
    """Run checks now, or all that are on, and lead to the page of the run."""
    if not request.user.has_perm("reliability.run_uptimetest"):
        raise PermissionDenied
    try:
        test = uptime_tests.request(actor=actor_of(request), check_ids=check_ids)
    except DomainError as error:
        model_admin.message_user(request, error.message, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:reliability_uptimetest_changelist"))
    return HttpResponseRedirect(reverse("admin:reliability_uptimetest_change", args=[test.pk]))
