"""Threads in the console: what people are told together, and who takes care of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.db.models import Case, Count, IntegerField, OuterRef, Subquery, When
from django.db.models.functions import Coalesce
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from core.adminlists import BoundedPaginator, before
from core.adminpages import ReadAdmin, act
from core.components import Tab, badge, when
from core.errors import DomainError
from notifications.admin.contexts.threads import ACKNOWLEDGE, standing, thread_context
from notifications.admin.words import severity_badge
from notifications.models import Event, Group, GroupMember, Notification
from notifications.selectors import silenced
from notifications.services import acknowledgements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

_VIEWS: Final = {
    "": "Open",
    "waiting": "Nobody takes care",
    "over": "Over",
    "all": "Everything",
}


class StandsFilter(admin.SimpleListFilter):
    """How threads stand; those that are open are shown unless somebody asks for others."""

    title = "stands"
    parameter_name = "stands"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer what is not shown by itself."""
        return [(key, words) for key, words in _VIEWS.items() if key]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Name what is shown by itself as it is."""
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": _VIEWS[""],
        }
        for key, words in self.lookup_choices:
            yield {
                "selected": self.value() == str(key),
                "query_string": changelist.get_query_string({self.parameter_name: key}),
                "display": words,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> QuerySet[Group]:
        """Narrow the list."""
        match self.value():
            case "all":
                return queryset
            case "over":
                return queryset.filter(closed_at__isnull=False)
            case "waiting":
                waiting = queryset.filter(closed_at__isnull=True, acked_at__isnull=True)
                return waiting.exclude(pk__in=silenced.threads())
            case _:
                return queryset.filter(closed_at__isnull=True)


@admin.register(Group)
class GroupAdmin(ReadAdmin[Group]):
    """Threads of messages, newest first."""

    exports = True
    empty_text = (
        "No thread is open. A route opens one when an alert begins, and closes it when all of its "
        "alerts are over."
    )
    change_list_template = "admin/notifications/list.html"
    list_display = ["thread", "stands", "weight", "began", "told", "route_name", "carer"]
    list_filter = [StandsFilter, "severity", before("opened_at")]
    search_fields = ["title", "route_name"]
    search_help_text = "Words of the thread or its route"
    ordering = ["-id"]
    paginator = BoundedPaginator
    actions = ["acknowledge"]

    def get_urls(self) -> list[URLPattern]:
        """Add the acknowledgement of one thread."""
        view = self.admin_site.admin_view(require_POST(self.acknowledge_one))
        own = path("<int:object_id>/acknowledge/", view, name="notifications_group_acknowledge")
        return [own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        holding = (
            GroupMember.objects.filter(group=OuterRef("pk"), status=Event.Status.FIRING)
            .order_by()
            .values("group")
            .annotate(count=Count("pk"))
            .values("count")
        )
        count = Coalesce(Subquery(holding, output_field=IntegerField()), 0)
        sent = Notification.objects.filter(group=OuterRef("pk")).exclude(channel_name="")
        newest = Subquery(sent.order_by("-seq", "-pk").values("created_at")[:1])
        return (
            super()
            .get_queryset(request)
            .annotate(
                holding=count,
                newest=newest,
                is_silenced=Case(When(pk__in=silenced.threads(), then=True), default=False),
            )
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page = reverse("admin:notifications_group_changelist")
        chosen = request.GET.get("stands", "")
        views = [
            Tab(words, f"{page}?stands={key}" if key else page, key == chosen)
            for key, words in _VIEWS.items()
        ]
        return super().changelist_view(request, {"views": views, **(extra_context or {})})

    def page_context(self, request: HttpRequest, obj: Group) -> dict[str, Any]:
        return thread_context(request, obj)

    def acknowledge_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Take care of one thread."""
        page = reverse("admin:notifications_group_change", args=[object_id])
        work = partial(acknowledgements.acknowledge, actor=actor_of(request), group_id=object_id)
        return act(self, request, ACKNOWLEDGE, page, "You take care of it.", work)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ACKNOWLEDGE)

    @admin.action(description="Acknowledge: I take care", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        """Take care of many threads."""
        count = 0
        for group in queryset:
            try:
                acknowledgements.acknowledge(actor=actor_of(request), group_id=group.pk)
            except DomainError as error:
                self.message_user(request, f"{group}: {error.message}", messages.WARNING)
            else:
                count += 1
        if count:
            self.message_user(request, f"{count} acknowledged.", messages.SUCCESS)

    @admin.display(description="Thread", ordering="title")
    def thread(self, group: Group) -> str:
        return group.title

    @admin.display(description="Stands")
    def stands(self, group: Group) -> str:
        if getattr(group, "is_silenced", False):
            return badge("silenced", "Silenced", tone="unknown")
        return standing(group, getattr(group, "holding", 0))

    @admin.display(description="Severity", ordering="severity")
    def weight(self, group: Group) -> str:
        return severity_badge(group.severity, is_over=not group.is_open)

    @admin.display(description="Began", ordering="opened_at")
    def began(self, group: Group) -> str:
        return when(group.opened_at)

    @admin.display(description="Last message")
    def told(self, group: Group) -> str:
        newest = getattr(group, "newest", None)
        return when(max(filter(None, (group.last_sent_at, newest)), default=None), "none yet")

    @admin.display(description="Takes care")
    def carer(self, group: Group) -> str:
        return group.acked_name or "-"
