"""What the console's own templates ask beside Django's tags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import template
from django.contrib.admin.views.main import ALL_VAR, ORDER_VAR, PAGE_VAR
from django.urls import reverse

from core.adminbase import ConsoleAdmin
from core.adminlists import BeforeFilter, BoundedPaginator
from core.listexport import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import Model
    from django.http import HttpRequest

    from opsplatform.console.things import Step

register = template.Library()


@dataclass(frozen=True)
class ChosenFilter:
    """A filter in force, and the list without it."""

    title: str
    value: str
    without: str


@dataclass(frozen=True)
class Beyond:
    """That a list has rows which no page shows; on the last page, where they are."""

    href: str


@register.filter
def done(steps: Iterable[Step]) -> int:
    """Return how many steps are done."""
    return sum(step.is_done for step in steps)


@register.simple_tag
def counted(cl: ChangeList) -> str:
    """Return how many rows a list has; a count that stopped at its limit says so."""
    return f"{cl.result_count:,}{'+' if _is_cut(cl) else ''}"


@register.simple_tag
def older(cl: ChangeList) -> Beyond | None:
    """Return where the rows beyond the last page are, if there are some and a filter finds them."""
    if not _is_cut(cl):
        return None
    found = [spec for spec in cl.filter_specs if isinstance(spec, BeforeFilter)]
    if not found:
        return None
    if cl.page_num < cl.paginator.num_pages or ORDER_VAR in cl.params:
        return Beyond("")
    (*_, last) = cl.result_list
    moment: datetime = getattr(last, found[0].column)
    # Up to the second: a row may be shown twice, none is left out.
    until = (moment + timedelta(seconds=1)).astimezone(UTC).replace(microsecond=0, tzinfo=None)
    changed = {found[0].parameter_name: until.isoformat()}
    return Beyond(cl.get_query_string(changed, remove=[PAGE_VAR]))


@register.simple_tag
def exports(cl: ChangeList, request: HttpRequest) -> list[tuple[str, str]]:
    """Return the files that this person may make of the list, each with its address."""
    model_admin = cl.model_admin
    if not isinstance(model_admin, ConsoleAdmin) or not model_admin.may_export(request):
        return []
    name = f"admin:{cl.opts.app_label}_{cl.opts.model_name}_export"
    query = cl.get_query_string(remove=[PAGE_VAR, ALL_VAR])
    return [(form.upper(), f"{reverse(name, args=[form])}{query}") for form in FORMS]


def _is_cut(cl: ChangeList) -> bool:
    return isinstance(cl.paginator, BoundedPaginator) and cl.paginator.is_cut


@register.simple_tag(takes_context=True)
def acts_url(context: dict[str, Any], thing: Model) -> str:
    """Return where everything that was done to a thing stands, for whoever may read the log."""
    if not context["request"].user.has_perm("audit.view_auditrecord"):
        return ""
    query = urlencode({"target_type": thing._meta.label, "target": thing.pk})
    return f"{reverse('admin:audit_auditrecord_timeline')}?{query}"


@register.simple_tag
def active_filters(cl: ChangeList) -> list[ChosenFilter]:
    """Return the filters that narrow the list now."""
    chosen = []
    for spec in cl.filter_specs:
        parameters = [name for name in spec.expected_parameters() if name is not None]
        names = [name for name in parameters if name in cl.filter_params]
        if not names:
            continue
        selected = [str(choice["display"]) for choice in spec.choices(cl) if choice.get("selected")]
        value = ", ".join(selected) or ", ".join(str(cl.params.get(name, "")) for name in names)
        without = cl.get_query_string(remove=parameters)
        chosen.append(ChosenFilter(str(spec.title).capitalize(), value, without))
    return chosen
