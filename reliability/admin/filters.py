"""Filters of long lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db.models import Exists, OuterRef

from reliability.engine.strikes import State
from reliability.models import Check

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from reliability.models import Service


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
