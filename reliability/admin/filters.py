"""Filters of long lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from reliability.models import Sample


class BeforeFilter(admin.SimpleListFilter):
    """Begins the list at a moment of the past: its pages reach only so far back.

    Together with one check, the index of the check's history finds the place.
    """

    title = "time"
    parameter_name = "before"
    template = "admin/reliability/before_filter.html"

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

    def queryset(self, request: HttpRequest, queryset: QuerySet[Sample]) -> QuerySet[Sample]:
        """Leave out what was found at that moment or later."""
        value = self.value()
        if not value:
            return queryset
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        if moment.tzinfo is not None:
            message = "The field takes UTC, without an offset."
            raise IncorrectLookupParameters(message)
        return queryset.filter(at__lt=moment.replace(tzinfo=UTC))
