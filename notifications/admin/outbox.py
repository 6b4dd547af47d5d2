"""Alerts and messages in the console: queue, history, retry, resend and cancel."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.utils.html import format_html

from accounts.actors import actor_of
from core.adminbase import RecordAdmin, ask_to_confirm
from core.components import badge
from core.errors import DomainError
from notifications.engine.targets import shown_address
from notifications.models import DeliveryAttempt, Event, Notification
from notifications.services import outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.template.response import TemplateResponse

    from core.actors import Actor

MOST_ROWS_COUNTED: Final = 10_000
MOST_AT_ONCE: Final = 1_000


class BoundedPaginator(Paginator[Any]):
    """Counts no further than people turn pages: a whole count costs more than the page."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[:MOST_ROWS_COUNTED].count()


class AttemptInline(admin.TabularInline[DeliveryAttempt, Notification]):
    """The history of one message."""

    model = DeliveryAttempt
    extra = 0
    can_delete = False
    verbose_name_plural = "attempts"
    fields = ("number", "started_at", "ended_at", "outcome", "status_code", "detail", "excerpt")
    readonly_fields = (
        "number",
        "started_at",
        "ended_at",
        "outcome",
        "status_code",
        "detail",
        "excerpt",
    )

    def has_add_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        return False


@admin.register(Notification)
class NotificationAdmin(RecordAdmin[Notification]):
    """The outbox: what waits, what was sent, what died, and why."""

    empty_text = "No message yet. One is made for each channel when an incident begins or ends."

    list_display = [
        "created_at",
        "title",
        "shown_severity",
        "shown_state",
        "receiver",
        "attempts",
        "last_error",
    ]
    list_filter = ["state", "severity", "reason", "channel", "created_at"]
    search_fields = ["=idempotency_key", "=thread_key"]
    search_help_text = "The whole idempotency key, or the whole key of the thread"
    ordering = ["-id"]
    paginator = BoundedPaginator
    actions = ["retry", "resend", "cancel"]
    inlines = [AttemptInline]
    fields = [
        "title",
        ("state", "reason", "severity"),
        "last_error",
        ("channel_name", "shown_recipient"),
        ("created_at", "next_at", "expires_at", "sent_at"),
        ("attempts", "uncertain", "lease_until"),
        ("idempotency_key", "provider_ref"),
        ("event", "thread_key", "seq", "original"),
        "shown_payload",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and match.url_name == "notifications_notification_changelist":
            # The snapshot is most of a row, and a list does not show it.
            return rows.defer("payload")
        return rows.select_related("event")

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.resend_notification")

    @admin.display(description="Severity", ordering="severity")
    def shown_severity(self, message: Notification) -> str:
        return badge(message.severity)

    @admin.display(description="State", ordering="state")
    def shown_state(self, message: Notification) -> str:
        return badge(message.state)

    @admin.display(description="To", ordering="channel_name")
    def receiver(self, message: Notification) -> str:
        return " ".join(filter(None, [message.channel_name, shown_address(message.recipient)]))

    @admin.display(description="Recipient")
    def shown_recipient(self, message: Notification) -> str:
        return shown_address(message.recipient) or "-"

    @admin.display(description="Message")
    def shown_payload(self, message: Notification) -> str:
        pretty = json.dumps(message.payload, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html("<pre>{}</pre>", pretty)

    @admin.action(description="Try dead messages again", permissions=["resend"])
    def retry(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="retry",
            title="Try these messages again?",
            effect="Dead messages are sent under the same key, which receivers may know already.",
            act=lambda actor, key: outbox.retry(actor=actor, notification_id=key),
        )

    @admin.action(description="Send messages once more", permissions=["resend"])
    def resend(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="resend",
            title="Send these messages once more?",
            effect="Sent messages go out again as new ones, with keys of their own.",
            act=lambda actor, key: outbox.resend(actor=actor, notification_id=key),
        )

    @admin.action(description="Cancel waiting messages", permissions=["resend"])
    def cancel(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="cancel",
            title="Cancel these messages?",
            effect="Waiting messages are taken back; those being sent just now are not.",
            act=lambda actor, key: outbox.cancel(actor=actor, notification_id=key),
        )

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Notification],
        *,
        action: str,
        title: str,
        effect: str,
        act: Callable[[Actor, int], Notification],
    ) -> TemplateResponse | None:
        asked = ask_to_confirm(self, request, queryset, action=action, title=title, effect=effect)
        if asked is not None:
            return asked
        actor = actor_of(request)
        done = 0
        refused: dict[str, int] = {}
        for key in queryset.values_list("pk", flat=True)[:MOST_AT_ONCE]:
            try:
                act(actor, key)
                done += 1
            except DomainError as error:
                refused[error.message] = refused.get(error.message, 0) + 1
        self.message_user(request, f"{done} done.", messages.SUCCESS)
        for reason, count in refused.items():
            self.message_user(request, f"{count} left as they were: {reason}", messages.WARNING)
        return None


@admin.register(Event)
class EventAdmin(RecordAdmin[Event]):
    """Alerts as they were raised, and what became of each."""

    empty_text = "No alert yet. Alerts are raised when a check goes down or comes back."

    list_display = ["created_at", "title", "shown_severity", "shown_status", "service", "routing"]
    list_filter = ["severity", "status", "routing", "created_at"]
    search_fields = ["=dedup_key"]
    search_help_text = "The whole deduplication key"
    ordering = ["-id"]
    paginator = BoundedPaginator
    fields = [
        "title",
        ("severity", "status", "kind", "service"),
        "body",
        "labels",
        "links",
        ("dedup_key", "transition_seq"),
        ("raised_by", "created_at"),
        ("routing", "routed_at", "suppressed_by"),
    ]

    @admin.display(description="Severity", ordering="severity")
    def shown_severity(self, event: Event) -> str:
        return badge(event.severity)

    @admin.display(description="Status", ordering="status")
    def shown_status(self, event: Event) -> str:
        return badge(event.status)
