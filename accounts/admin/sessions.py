"""Sign-ins in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.utils import timezone
from django.utils.html import format_html

from accounts.actors import actor_of
from accounts.models import UserSession
from accounts.selectors import sign_ins
from accounts.services import revocation
from core.adminbase import RecordAdmin, ask_to_confirm
from core.components import badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.template.response import TemplateResponse

_REVOKE = "accounts.revoke_usersession"


class HoldingFilter(SimpleListFilter):
    """Sessions that hold, and sessions that are over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's signature
        return [("holding", "Signed in"), ("over", "Over")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UserSession]
    ) -> QuerySet[UserSession]:
        holds = sign_ins.holds()
        if self.value() == "holding":
            return queryset.filter(holds)
        return queryset.exclude(holds) if self.value() == "over" else queryset


@admin.register(UserSession)
class UserSessionAdmin(RecordAdmin[UserSession]):
    """Who is signed in, where, with what."""

    exports = True
    empty_text = "Nobody has signed in yet."
    list_display = ["person", "state", "device_told", "used", "began"]
    list_filter = [HoldingFilter, "kind"]
    list_select_related = ["user"]
    search_fields = ["user__username", "device", "last_address"]
    search_help_text = "Name, device or address"
    actions = ["end", "end_all_of_person"]
    fields: ClassVar[Any] = [
        "person",
        "state",
        "device_told",
        "user_agent",
        "how",
        "began",
        "first_address",
        "used",
        "ends",
        "confirmed",
        "ended",
    ]
    readonly_fields: ClassVar[Any] = fields

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_REVOKE)

    @admin.display(description="Person", ordering="user__username")
    def person(self, session: UserSession) -> str:
        return session.user.username

    @admin.display(description="State")
    def state(self, session: UserSession) -> str:
        if session.revoked_at is not None:
            return badge("off", "Ended")
        now = timezone.now()
        if session.expires_at <= now:
            return badge("off", "Expired")
        if session.last_seen_at <= now - sign_ins.idle_of(session.kind):
            return badge("off", "Idle too long")
        return badge("active", "Signed in")

    @admin.display(description="Device")
    def device_told(self, session: UserSession) -> str:
        return format_html(
            '<span title="{}">{}</span> <br>{}, by {}',
            session.user_agent,
            session.device_name,
            session.get_kind_display(),
            session.proven,
        )

    @admin.display(description="Proven by")
    def how(self, session: UserSession) -> str:
        return session.proven

    @admin.display(description="Last used", ordering="last_seen_at")
    def used(self, session: UserSession) -> str:
        return format_html("{} {}", when(session.last_seen_at), session.last_address or "")

    @admin.display(description="Signed in", ordering="created_at")
    def began(self, session: UserSession) -> str:
        return when(session.created_at)

    @admin.display(description="Ends", ordering="expires_at")
    def ends(self, session: UserSession) -> str:
        return when(session.expires_at)

    @admin.display(description="Second factor")
    def confirmed(self, session: UserSession) -> str:
        return when(session.mfa_at, "not proven")

    @admin.display(description="Ended")
    def ended(self, session: UserSession) -> str:
        if session.revoked_at is None:
            return "no"
        return format_html(
            "{} by {}. {}", when(session.revoked_at), session.revoked_by, session.revoked_reason
        )

    @admin.action(description="End these sessions", permissions=["revoke"])
    def end(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> TemplateResponse | None:
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="end",
            title="End these sessions?",
            effect="Their people are signed out there within a second, and must sign in again.",
            is_dangerous=True,
        )
        if asked is not None:
            return asked
        actor = actor_of(request)
        ended = sum(
            revocation.end_session(actor=actor, session=session, reason="Ended by an admin.")
            for session in queryset
        )
        self.message_user(request, f"Ended {ended} of {queryset.count()}.", messages.SUCCESS)
        return None

    @admin.action(description="End all sessions of these people", permissions=["revoke"])
    def end_all_of_person(
        self, request: HttpRequest, queryset: QuerySet[UserSession]
    ) -> TemplateResponse | None:
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="end_all_of_person",
            title="End all sessions of these people?",
            effect="Whoever has one of these sessions is signed out everywhere, within a second.",
            is_dangerous=True,
        )
        if asked is not None:
            return asked
        actor = actor_of(request)
        people = {*queryset.values_list("user_id", flat=True)}
        ended = sum(
            revocation.end_all(actor=actor, user_id=user_id, reason="Ended by an admin.")
            for user_id in people
        )
        self.message_user(
            request, f"Ended {ended} sessions of {len(people)} people.", messages.SUCCESS
        )
        return None
