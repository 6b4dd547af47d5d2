"""The keys that sign tokens, in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.urls import path, reverse

from accounts.actors import actor_of
from accounts.models import SigningKey
from accounts.services import signing_keys, stepup
from core.adminbase import RecordAdmin, ask_to_confirm
from core.components import badge, when
from core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

_ROTATE = "accounts.rotate_signingkey"
_STATES = {
    "staged": ("Staged", "info"),
    "active": ("Signs", "ok"),
    "retiring": ("Retiring", "warn"),
    "retired": ("Retired", "unknown"),
    "revoked": ("Revoked", "bad"),
}


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
            button="Rotate",
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
            is_dangerous=True,
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
