"""Sign-ins, what was revoked, and the keys that sign tokens, in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.actors import actor_of
from accounts.models import AccessChange, SigningKey, UserSession
from accounts.services import revocation, signing_keys, stepup
from core.adminbase import RecordAdmin, ask_to_confirm
from core.components import badge, when
from core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse
    from django.urls import URLPattern

_REVOKE = "accounts.revoke_usersession"
_ROTATE = "accounts.rotate_signingkey"
_STATES = {
    "staged": ("Staged", "info"),
    "active": ("Signs", "ok"),
    "retiring": ("Retiring", "warn"),
    "retired": ("Retired", "unknown"),
    "revoked": ("Revoked", "bad"),
}


class HoldingFilter(SimpleListFilter):
    """Sessions that hold, and sessions that are over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's signature
        return [("holding", "Signed in"), ("over", "Over")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UserSession]
    ) -> QuerySet[UserSession]:
        holds = Q(revoked_at=None, expires_at__gt=timezone.now())
        if self.value() == "holding":
            return queryset.filter(holds)
        return queryset.exclude(holds) if self.value() == "over" else queryset


@admin.register(UserSession)
class UserSessionAdmin(RecordAdmin[UserSession]):
    """Who is signed in, where, with what."""

    exports = True
    empty_text = "Nobody has signed in yet."
    list_display = ["person", "state", "what", "used", "began"]
    list_filter = [HoldingFilter, "kind"]
    list_select_related = ["user"]
    search_fields = ["user__username", "device", "last_address"]
    search_help_text = "Name, device or address"
    actions = ["end", "end_all_of_person"]
    fields: ClassVar[Any] = [
        "person",
        "state",
        "what",
        "user_agent",
        "proven",
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
        if session.expires_at <= timezone.now():
            return badge("off", "Expired")
        return badge("active", "Signed in")

    @admin.display(description="With")
    def what(self, session: UserSession) -> str:
        return f"{session.get_kind_display()} {session.device}".strip()

    @admin.display(description="Proven by")
    def proven(self, session: UserSession) -> str:
        return ", ".join(filter(None, session.methods.split(","))) or "-"

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


@admin.register(AccessChange)
class AccessChangeAdmin(RecordAdmin[AccessChange]):
    """What was revoked: the feed that every process follows."""

    exports = True
    empty_text = "Nothing was revoked yet."
    list_display = ["what", "value", "told", "matters", "actor", "reason"]
    list_filter = ["kind"]
    search_fields = ["value", "actor"]
    search_help_text = "Id or who did it"
    fields: ClassVar[Any] = ["what", "value", "told", "matters", "actor", "reason"]
    readonly_fields: ClassVar[Any] = fields

    @admin.display(description="What", ordering="kind")
    def what(self, change: AccessChange) -> str:
        return change.get_kind_display()

    @admin.display(description="When", ordering="seq")
    def told(self, change: AccessChange) -> str:
        return when(change.created_at)

    @admin.display(description="Matters until", ordering="not_after")
    def matters(self, change: AccessChange) -> str:
        return when(change.not_after)


@admin.register(SigningKey)
class SigningKeyAdmin(RecordAdmin[SigningKey]):
    """The keys that sign access tokens; they rotate by themselves each 90 days."""

    empty_text = "The first key is made when the first program signs in."
    list_display = ["kid", "shown_state", "made", "signs", "until"]
    actions = ["revoke"]
    fields: ClassVar[Any] = ["kid", "shown_state", "made", "signs", "until"]
    readonly_fields: ClassVar[Any] = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        # The private half is not even read.
        return super().get_queryset(request).defer("private_pem")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.rotate)
        return [path("rotate/", view, name="accounts_signingkey_rotate"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_rotate = self.has_rotate_permission(request)
        return super().changelist_view(request, {"may_rotate": may_rotate, **(extra_context or {})})

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_ROTATE)

    @admin.display(description="State", ordering="state")
    def shown_state(self, key: SigningKey) -> str:
        word, tone = _STATES[key.state]
        return badge(key.state, word, tone=tone)

    @admin.display(description="Made", ordering="created_at")
    def made(self, key: SigningKey) -> str:
        return when(key.created_at)

    @admin.display(description="Signs from", ordering="sign_from")
    def signs(self, key: SigningKey) -> str:
        return when(key.sign_from)

    @admin.display(description="Trusted until", ordering="retire_at")
    def until(self, key: SigningKey) -> str:
        return when(key.retire_at, "-")

    def rotate(self, request: HttpRequest) -> HttpResponse:
        """Ask, then stage the next key."""
        if not self.has_rotate_permission(request):
            raise PermissionDenied
        stepup.require(request)
        asked = ask_to_confirm(
            self,
            request,
            SigningKey.objects.filter(state=SigningKey.State.ACTIVE).defer("private_pem"),
            action="rotate",
            title="Rotate the signing key?",
            effect="The next key is published now and signs in ten minutes. Nobody is signed out. "
            "It takes the place of:",
        )
        if asked is not None and request.method != "POST":
            return asked
        return self._act(
            request,
            lambda: signing_keys.rotate(actor=actor_of(request)),
            "The next key is staged; it signs in ten minutes.",
        )

    @admin.action(description="Revoke", permissions=["rotate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> HttpResponse | None:
        stepup.require(request)
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="revoke",
            title="Revoke these keys?",
            effect="Every access token that they signed ends within a second; programs refresh. "
            "Where the active key is among them, another signs at once.",
        )
        if asked is not None:
            return asked
        kids = [*queryset.values_list("pk", flat=True)]
        self._act(request, lambda: _revoke(request, kids), f"Revoked: {', '.join(kids)}.")
        return None

    def _act(self, request: HttpRequest, act: Any, done: str) -> HttpResponse:  # noqa: ANN401  # any service
        try:
            act()
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:accounts_signingkey_changelist"))


def _revoke(request: HttpRequest, kids: Sequence[str]) -> None:
    for kid in kids:
        signing_keys.revoke(actor=actor_of(request), kid=kid, reason="Revoked by an admin.")
