"""Messages in the console: queue, history and dead letters, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from accounts.actors import actor_of
from core.adminbase import ask_to_confirm
from core.adminlists import BoundedPaginator, before
from core.adminpages import ReadAdmin, act, seen
from core.components import Tab, when
from core.errors import DomainError
from notifications.admin.contexts.messages import RESEND, message_context
from notifications.admin.holds import hold_context, release_page
from notifications.admin.words import severity_badge, state_badge, told_to
from notifications.models import Group, Notification
from notifications.services import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

# Of so few each one tells why it could not be done; more are one act with one record.
_ONE_BY_ONE: Final = 100
_MOST_COUNTED: Final = 1_000
_KEY_CHARACTERS: Final = 18
_State = Notification.State


@dataclass(frozen=True, slots=True)
class View:
    """A part of the outbox that people look at by itself."""

    label: str
    query: str = ""
    counts: Q | None = None
    """Which messages are counted, at most to a limit."""


VIEWS: Final = (
    View("Everything"),
    View("Waiting", "state__exact=pending", Q(state=_State.PENDING)),
    View("Held", "state__exact=held", Q(state=_State.HELD)),
    View("Sent", "state__exact=sent"),
    View("Dead letters", "dead=lost", Q(state=_State.DEAD) & ~Q(channel_name="")),
    View("Reached nobody", "dead=nobody", Q(state=_State.DEAD, channel_name="")),
    View("Not told", "state__exact=suppressed"),
    View("Replaced", "state__exact=superseded"),
    View("Cancelled", "state__exact=cancelled"),
)


class ThreadFilter(admin.SimpleListFilter):
    """The messages of one thread, which its page leads to."""

    title = "thread"
    parameter_name = "thread"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer the thread that is chosen already, so that it can be seen and left."""
        chosen = request.GET.get(self.parameter_name, "")
        found = Group.objects.filter(pk=int(chosen)).first() if _is_key(chosen) else None
        return [(chosen, str(found))] if found is not None else []

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> QuerySet[Notification]:
        """Ask as the index of messages by thread is made."""
        value = self.value() or ""
        return queryset.filter(group=int(value)) if _is_key(value) else queryset


class DeadFilter(admin.SimpleListFilter):
    """What no longer goes anywhere, by whether a channel lost it."""

    title = "dead letters"
    parameter_name = "dead"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Tell what a channel lost from what had nobody to go to."""
        return [("lost", "A channel lost it"), ("nobody", "There was nobody to tell")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> QuerySet[Notification]:
        """Narrow the list as the counts of the tabs are made."""
        if self.value() == "lost":
            return queryset.filter(state=_State.DEAD).exclude(channel_name="")
        if self.value() == "nobody":
            return queryset.filter(state=_State.DEAD, channel_name="")
        return queryset


@dataclass(frozen=True, slots=True)
class Act:
    """What may be done with messages, one or many."""

    service: Callable[..., Notification]
    service_all: Callable[..., outbox.Bulk]
    one: str
    many: str
    button: str
    effect: str
    done: str
    is_dangerous: bool = False


ACTS: Final[dict[str, Act]] = {
    "retry": Act(
        outbox.retry,
        outbox.retry_all,
        "Try this message again?",
        "Try these messages again?",
        "Try again",
        "Dead messages are sent under the same key, which receivers may know already.",
        "It is tried again.",
    ),
    "resend": Act(
        outbox.resend,
        outbox.resend_all,
        "Send this message once more?",
        "Send these messages once more?",
        "Send once more",
        "Sent messages go out again as new ones, with keys of their own.",
        "It is sent once more.",
    ),
    "cancel": Act(
        outbox.cancel,
        outbox.cancel_all,
        "Cancel this message?",
        "Cancel these messages?",
        "Cancel the message",
        "Waiting messages are taken back; those being sent just now are not.",
        "Taken back.",
        is_dangerous=True,
    ),
    "set-aside": Act(
        outbox.set_aside,
        outbox.set_aside_all,
        "Set this message aside?",
        "Set these messages aside?",
        "Set aside",
        "Dead messages are not tried again and no longer counted; they keep their error.",
        "It is set aside.",
    ),
}


@admin.register(Notification)
class NotificationAdmin(ReadAdmin[Notification]):
    """The outbox: what waits, what was sent, what died, and why."""

    exports = True
    empty_text = (
        "No message yet. One is made for each receiver of a route when an alert begins or ends."
    )
    change_list_template = "admin/notifications/list.html"

    list_display = [
        "created",
        "message",
        "shown_severity",
        "shown_state",
        "receiver",
        "tries",
        "last_error",
    ]
    list_filter = [
        "state",
        "severity",
        "reason",
        "channel",
        ThreadFilter,
        DeadFilter,
        before("created_at"),
        "created_at",
    ]
    search_fields = ["title", "=idempotency_key", "=thread_key"]
    search_help_text = "Words of the message, or a whole key of it"
    ordering = ["-id"]
    paginator = BoundedPaginator
    actions = ["retry", "resend", "cancel", "set_aside"]

    def get_urls(self) -> list[URLPattern]:
        """Add what may be done with one message."""
        wrap = self.admin_site.admin_view
        own = [
            path(
                f"<int:object_id>/{name}/",
                wrap(partial(self.act_one, name=name)),
                name=f"notifications_notification_{name}",
            )
            for name in ACTS
        ]
        own.append(path("release/", wrap(self.release), name="notifications_notification_release"))
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "notifications_notification_changelist":
            # The snapshot is most of a row, and a list does not show it.
            return rows.select_related("user").defer("payload")
        return rows.select_related("event", "group", "user")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        shown: dict[str, Any] = {}
        if self.has_view_permission(request):
            shown = {"views": list(_tabs(request)), **hold_context(request)}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def release(self, request: HttpRequest) -> HttpResponse:
        """Let messages leave again after a restore."""
        return release_page(self, request)

    def page_context(self, request: HttpRequest, obj: Notification) -> dict[str, Any]:
        return message_context(request, obj)

    def act_one(self, request: HttpRequest, object_id: int, name: str) -> HttpResponse:
        """Ask, then retry, resend, cancel or set aside one message."""
        if not request.user.has_perm(RESEND):
            raise PermissionDenied
        found = ACTS[name]
        page = reverse("admin:notifications_notification_change", args=[object_id])
        if request.method == "POST":
            work = partial(found.service, actor=actor_of(request), notification_id=object_id)
            return act(self, request, RESEND, page, found.done, work)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET", "POST"])
        message = seen(self, request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": found.one,
            "effect": found.effect,
            "objects": [message],
            "button": found.button,
            "leave": "Back",
            "is_dangerous": found.is_dangerous,
            "back": page,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESEND)

    @admin.display(description="Created", ordering="created_at")
    def created(self, message: Notification) -> str:
        return when(message.created_at)

    @admin.display(description="Message", ordering="title")
    def message(self, message: Notification) -> str:
        if message.reason == Notification.Reason.FIRST:
            return format_html('<span class="two-lines">{}</span>', message.title)
        return format_html(
            '<span class="two-lines">{}</span> <span class="quiet">{}</span>',
            message.title,
            message.get_reason_display(),
        )

    @admin.display(description="Tries", ordering="attempts")
    def tries(self, message: Notification) -> str:
        return format_html('<span class="numeric">{}</span>', message.attempts)

    @admin.display(description="Severity", ordering="severity")
    def shown_severity(self, message: Notification) -> str:
        is_over = message.reason == Notification.Reason.ALL_RESOLVED
        return severity_badge(message.severity, is_over=is_over)

    @admin.display(description="State", ordering="state")
    def shown_state(self, message: Notification) -> str:
        return state_badge(message)

    @admin.display(description="To", ordering="channel_name")
    def receiver(self, message: Notification) -> str:
        return told_to(message)

    @admin.action(description="Try dead messages again", permissions=["resend"])
    def retry(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(request, queryset, "retry")

    @admin.action(description="Send messages once more", permissions=["resend"])
    def resend(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(request, queryset, "resend")

    @admin.action(description="Cancel waiting messages", permissions=["resend"])
    def cancel(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(request, queryset, "cancel")

    @admin.action(description="Set dead messages aside", permissions=["resend"])
    def set_aside(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(request, queryset, "set-aside")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Notification], name: str
    ) -> TemplateResponse | None:
        found = ACTS[name]
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action=name.replace("-", "_"),
            title=found.many,
            effect=found.effect,
            is_dangerous=found.is_dangerous,
        )
        if asked is not None:
            return asked
        actor = actor_of(request)
        keys = list(queryset.values_list("pk", flat=True)[: outbox.MOST_AT_ONCE])
        if len(keys) > _ONE_BY_ONE:
            bulk = found.service_all(actor=actor, chosen=outbox.Chosen(ids=keys))
            self.message_user(request, f"{bulk.done:,} done.", messages.SUCCESS)
            if left := len(keys) - bulk.done:
                told = f"{left:,} left as they were: this cannot be done with them."
                self.message_user(request, told, messages.WARNING)
            return None
        done = 0
        refused: dict[str, int] = {}
        for key in keys:
            try:
                found.service(actor=actor, notification_id=key)
                done += 1
            except DomainError as error:
                refused[error.message] = refused.get(error.message, 0) + 1
        self.message_user(request, f"{done} done.", messages.SUCCESS)
        for reason, count in refused.items():
            self.message_user(request, f"{count} left as they were: {reason}", messages.WARNING)
        return None


def _is_key(text: str) -> bool:
    return text.isdecimal() and len(text) <= _KEY_CHARACTERS


def _tabs(request: HttpRequest) -> Iterator[Tab]:
    page = reverse("admin:notifications_notification_changelist")
    chosen = {f"{name}={request.GET.get(name)}" for name in ("state__exact", "dead")}
    is_narrowed = any(view.query in chosen for view in VIEWS)
    for view in VIEWS:
        rows = Notification.objects.order_by("-id")
        count = rows.filter(view.counts)[:_MOST_COUNTED].count() if view.counts else 0
        yield Tab(
            view.label,
            f"{page}?{view.query}" if view.query else page,
            is_current=view.query in chosen if view.query else not is_narrowed,
            count=count or None,
        )
