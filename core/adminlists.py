"""Long lists of the console: pages count to a limit, and a filter reaches what lies beyond."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest


class BoundedPaginator(Paginator[Any]):
    """Counts to a limit: the exact number of millions of rows is worth nobody's wait."""

    most = 5_000

    @cached_property
    def _found(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[: self.most + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._found, self.most)

    @property
    def is_cut(self) -> bool:
        """Whether there are rows that no page shows."""
        return self._found > self.most


def told_count(count: int, most: int) -> str:
    """Return a count as people read it; one that stopped at a limit says so."""
    return f"{most:,}+" if count >= most else f"{count:,}"


class MomentFilter(admin.SimpleListFilter):
    """Bounds the list by a moment that a person types."""

    template = "admin/before_filter.html"
    lookup: ClassVar[str]
    column: ClassVar[str] = "at"
    """The column that holds the moment of a row."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer no fixed choices."""
        return []

    def has_output(self) -> bool:
        """Show the field in any case."""
        return True

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Describe the field, and what else is chosen and must stay so."""
        own = self.parameter_name
        kept = [(name, value) for name, value in changelist.params.items() if name != own]
        yield {"name": own, "value": self.value() or "", "kept": kept}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Leave out what lies on the other side of the moment."""
        moment = self.moment(self.value() or "")
        if moment is None:
            return queryset
        return queryset.filter(**{f"{self.column}__{self.lookup}": moment})

    @staticmethod
    def moment(value: str) -> datetime | None:
        """Return what was typed, None where nothing was."""
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        if moment.tzinfo is not None:
            message = "The field takes UTC, without an offset."
            raise IncorrectLookupParameters(message)
        return moment.replace(tzinfo=UTC)


class BeforeFilter(MomentFilter):
    """Begins the list at a moment of the past: its pages reach only so far back."""

    title = "before"
    parameter_name = "before"
    lookup = "lt"


class AfterFilter(MomentFilter):
    """Ends the list at a moment of the past."""

    title = "after"
    parameter_name = "after"
    lookup = "gte"


def before(column: str) -> type[BeforeFilter]:
    """Return the filter for a column of moments."""
    return cast("type[BeforeFilter]", type("BeforeFilter", (BeforeFilter,), {"column": column}))


def named(
    title: str, kind: type[admin.FieldListFilter] = admin.ChoicesFieldListFilter
) -> type[admin.FieldListFilter]:
    """Return a filter under a name that people use, not that of its column."""

    class Named(kind):  # type: ignore[valid-type,misc]  # a class that is chosen at run time
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
            super().__init__(*args, **kwargs)
            self.title = title

    return Named


def either(title: str, yes: str, no: str) -> type[admin.BooleanFieldListFilter]:
    """Return the filter for a column of two values, with a word for each."""

    class Either(admin.BooleanFieldListFilter):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
            super().__init__(*args, **kwargs)
            self.title = title

        def choices(self, changelist: ChangeList) -> Iterator[Any]:
            for choice, word in zip(super().choices(changelist), ("All", yes, no), strict=False):
                yield {**choice, "display": word}

    return Either
