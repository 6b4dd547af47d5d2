"""What pages show of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.html import format_html

from core.components import Column, Table, when
from reliability.selectors import changes

if TYPE_CHECKING:
    from django.http import HttpRequest

    from reliability.models import Change, Service

SHOWN: Final = 10


def changes_of(request: HttpRequest, service: Service) -> dict[str, Any]:
    """Return the newest changes of a service, and of everything, for its page."""
    if not request.user.has_perm("reliability.view_change"):
        return {}
    return {"changes": changes_table(list(changes.of_service(service.pk)[:SHOWN]))}


def changes_table(found: list[Change]) -> Table:
    """Return changes as a table."""
    return Table(
        columns=[Column("When"), Column("What"), Column("Told by")],
        rows=[[when(change.at), title_of(change), change.told_by] for change in found],
        caption="Changes",
        empty="No change was told. Pipelines tell of deploys by POST /api/ops/changes.",
    )


def title_of(change: Change) -> str:
    """Return a change in one line, with a link to where it can be looked up."""
    told = changes.words(change)
    if not change.url:
        return told
    return format_html('<a href="{}" rel="noreferrer">{}</a>', change.url, told)
