"""Filters of long lists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Exists, OuterRef

from reliability.engine.strikes import State
from reliability.models import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from reliability.models import Sample, Service


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


_FOUND: Final = {
    "down": ("Down", [State.DOWN.value, State.RECOVERING.value]),
    "suspect": ("Suspect", [State.SUSPECT.value]),
    "degraded": ("Degraded", [State.DEGRADED.value]),
    "unknown": ("Unknown", [State.UNKNOWN.value]),
}


class FoundFilter(admin.SimpleListFilter):
    """Services of which some check was found in a state last."""

    title = "found last"
    parameter_name = "found"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer what needs somebody, and services whose checks are all up."""
        return [*((key, words) for key, (words, _) in _FOUND.items()), ("up", "All up")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Service]) -> QuerySet[Service]:
        """Compare what was found last, however old."""
        value = self.value()
        on = Check.objects.filter(service=OuterRef("pk"), enabled=True)
        if value == "up":
            up = State.UP.value
            return queryset.filter(
                Exists(on.filter(state__state=up)), ~Exists(on.exclude(state__state=up))
            )
        if value in _FOUND:
            return queryset.filter(Exists(on.filter(state__state__in=_FOUND[value][1])))
        return queryset


class WatchedFilter(admin.SimpleListFilter):
    """Services with a check that is on, or without."""

    title = "watched"
    parameter_name = "watched"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer both."""
        return [("yes", "By a check"), ("no", "By none that is on")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Service]) -> QuerySet[Service]:
        """Ask for a check that is on."""
        on = Exists(Check.objects.filter(service=OuterRef("pk"), enabled=True))
        if self.value() == "yes":
            return queryset.filter(on)
        return queryset.filter(~on) if self.value() == "no" else queryset
