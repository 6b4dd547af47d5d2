"""What several pages show."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property

from reliability.selectors.incidents import SEE_ANSWERS

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest


def answer_field(request: HttpRequest) -> tuple[str, ...]:
    """Name the field with what a target answered, for those who may see it."""
    return ("answered",) if request.user.has_perm(SEE_ANSWERS) else ()


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts to a limit: the exact number of millions of rows is worth nobody's wait."""

    most = 5_000

    @cached_property
    def count(self) -> int:
        return cast("QuerySet[Model]", self.object_list)[: self.most].count()
