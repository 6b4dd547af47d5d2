"""Alerts and messages in the console: queue, history, retry, resend and cancel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from django.contrib import admin, messages
from django.utils.html import format_html

from accounts.actors import actor_of
from core.adminbase import RecordAdmin, ask_to_confirm
from core.adminlists import BoundedPaginator, before
from core.components import badge, when
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

MOST_AT_ONCE: Final = 1_000


class AttemptInline(admin.TabularInline[DeliveryAttempt, Notification]):
    """The history of one message."""

    model = DeliveryAttempt
    extra = 0
    can_delete = False
    verbose_name_plural = "attempts"
    fields = ("number", "began", "ended", "shown_outcome", "status", "detail", "answer")
    readonly_fields = fields

    @admin.display(description="Began")
    def began(self, attempt: DeliveryAttempt) -> str:
        return when(attempt.started_at)

    @admin.display(description="Ended")
    def ended(self, attempt: DeliveryAttempt) -> str:
        return when(attempt.ended_at)

    @admin.display(description="Outcome")
    def shown_outcome(self, attempt: DeliveryAttempt) -> str:
        return badge(attempt.outcome, attempt.get_outcome_display())

    @admin.display(description="Status")
    def status(self, attempt: DeliveryAttempt) -> str:
        return str(attempt.status_code or "-")

    @admin.display(description="Answer")
    def answer(self, attempt: DeliveryAttempt) -> str:
        return attempt.excerpt or "-"

    def has_add_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Notification | None = None) -> bool:
        return False


@admin.register(Notification)
class NotificationAdmin(RecordAdmin[Notification]):
    """The outbox: what waits, what was sent, what died, and why."""

    exports = True
    empty_text = "No message yet. One is made for each channel when an incident begins or ends."

    list_display = [
        "created",
        "message",
        "shown_severity",
        "shown_state",
        "receiver",
        "tries",
        "last_error",
    ]
    list_filter = ["state", "severity", "reason", "channel", before("created_at"), "created_at"]
    search_fields = ["title", "=idempotency_key", "=thread_key"]
    search_help_text = "Words of the message, or a whole key of it"
    ordering = ["-id"]
    paginator = BoundedPaginator
    actions = ["retry", "resend", "cancel"]
    inlines = [AttemptInline]
    readonly_fields = [
        "created",
        "next_try",
        "given_up",
        "sent",
        "tries",
        "held_until",
        "receipt",
        "place",
        "shown_recipient",
        "shown_payload",
    ]
    fields = [
        "title",
        ("state", "reason", "severity"),
        "last_error",
        ("channel_name", "shown_recipient"),
        ("created", "next_try", "given_up", "sent"),
        ("tries", "uncertain", "held_until"),
        ("idempotency_key", "receipt"),
        ("event", "thread_key", "place", "original"),
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

    @admin.display(description="Created", ordering="created_at")
    def created(self, message: Notification) -> str:
        return when(message.created_at)

    @admin.display(description="Message", ordering="title")
    def message(self, message: Notification) -> str:
        return message.title

    @admin.display(description="Tries", ordering="attempts")
    def tries(self, message: Notification) -> str:
        return format_html('<span class="numeric">{}</span>', message.attempts)

    @admin.display(description="Next try")
    def next_try(self, message: Notification) -> str:
        waits = message.state == Notification.State.PENDING
        return when(message.next_at if waits else None)

    @admin.display(description="Given up at the latest")
    def given_up(self, message: Notification) -> str:
        return when(message.expires_at)

    @admin.display(description="Sent")
    def sent(self, message: Notification) -> str:
        return when(message.sent_at)

    @admin.display(description="Held by a sender until")
    def held_until(self, message: Notification) -> str:
        return when(message.lease_until)

    @admin.display(description="Receipt of the receiver")
    def receipt(self, message: Notification) -> str:
        return message.provider_ref or "-"

    @admin.display(description="Place in its thread")
    def place(self, message: Notification) -> str:
        return str(message.seq)

    @admin.display(description="Severity", ordering="severity")
    def shown_severity(self, message: Notification) -> str:
        return badge(message.severity)

    @admin.display(description="State", ordering="state")
    def shown_state(self, message: Notification) -> str:
        return badge(message.state)

    @admin.display(description="To", ordering="channel_name")
    def receiver(self, message: Notification) -> str:
        address = shown_address(message.recipient)
        quiet = format_html(' <span class="quiet">{}</span>', address) if address else ""
        return format_html("{}{}", message.channel_name, quiet)

    @admin.display(description="Recipient")
    def shown_recipient(self, message: Notification) -> str:
        return shown_address(message.recipient) or "-"

    @admin.display(description="What is sent")
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

    exports = True
    empty_text = "No alert yet. Alerts are raised when a check goes down or comes back."

    list_display = ["raised", "alert", "shown_severity", "shown_status", "service", "told"]
    list_filter = ["severity", "status", "routing", before("created_at"), "created_at"]
    search_fields = ["title", "service", "=dedup_key"]
    search_help_text = "Words of the alert or its service, or its whole key"
    ordering = ["-id"]
    paginator = BoundedPaginator
    readonly_fields = ["raised", "told", "told_at", "change"]
    fields = [
        "title",
        ("severity", "status", "kind", "service"),
        "body",
        "labels",
        "links",
        ("dedup_key", "change"),
        ("raised_by", "raised"),
        ("told", "told_at", "suppressed_by"),
    ]

    @admin.display(description="Raised", ordering="created_at")
    def raised(self, event: Event) -> str:
        return when(event.created_at)

    @admin.display(description="Alert", ordering="title")
    def alert(self, event: Event) -> str:
        return event.title

    @admin.display(description="Who is told", ordering="routing")
    def told(self, event: Event) -> str:
        return str(event.get_routing_display())

    @admin.display(description="Told at")
    def told_at(self, event: Event) -> str:
        return when(event.routed_at)

    @admin.display(description="Number of the change")
    def change(self, event: Event) -> str:
        return str(event.transition_seq)

    @admin.display(description="Severity", ordering="severity")
    def shown_severity(self, event: Event) -> str:
        return badge(event.severity)

    @admin.display(description="Status", ordering="status")
    def shown_status(self, event: Event) -> str:
        return badge(event.status)
