"""What several pages show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property
from django.utils.html import format_html

from reliability import selectors

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest

_TONES: Final = {
    "up": "ok",
    "ok": "ok",
    "resolved": "ok",
    "done": "ok",
    "degraded": "warn",
    "suspect": "warn",
    "recovering": "warn",
    "acknowledged": "warn",
    "warning": "warn",
    "down": "bad",
    "triggered": "bad",
    "critical": "bad",
    "failed": "bad",
}


def badge(value: str, text: str = "") -> str:
    """Return a coloured label; the text alone must say everything."""
    tone = _TONES.get(value, "idle")
    return format_html('<span class="badge badge-{}">{}</span>', tone, text or value.capitalize())


def answer_field(request: HttpRequest) -> tuple[str, ...]:
    """Name the field with what a target answered, for those who may see it."""
    return ("answered",) if request.user.has_perm(selectors.SEE_ANSWERS) else ()


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts to a limit: the exact number of millions of rows is worth nobody's wait."""

    most = 5_000

    @cached_property
    def count(self) -> int:
        return cast("QuerySet[Model]", self.object_list)[: self.most].count()
