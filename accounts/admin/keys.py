"""API keys of everybody in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.utils.html import format_html

from accounts.actors import actor_of
from accounts.models import APIKey
from accounts.services import api_keys, stepup
from core.adminbase import RecordAdmin, ask_to_confirm
from core.components import badge, when
from core.errors import DomainError

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.template.response import TemplateResponse


class StateFilter(SimpleListFilter):
    """Keys that work, and keys that have ended."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's signature
        return [("valid", "Valid"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        chosen = self.value()
        if chosen is None:
            return queryset
        found = APIKey.objects.described(state=chosen)
        return queryset.filter(pk__in=found.values("pk"))


@admin.register(APIKey)
class APIKeyAdmin(RecordAdmin[APIKey]):
    """Keys of programs; their owners make them on their own pages."""

    exports = True
    empty_text = "Whoever may have keys makes them under Your account, API keys."
    list_display = ["label", "state", "owned_by", "what", "used", "ends"]
    list_filter = [StateFilter]
    list_select_related = ["owner"]
    search_fields = ["label", "key_id", "owner__username"]
    search_help_text = "Name, owner, or the digits after ops_"
    actions = ["revoke"]
    fields: ClassVar[Any] = [
        "label",
        "state",
        "shown_id",
        "owned_by",
        "allows",
        "from_where",
        "used",
        "made",
        "ends",
        "replaces",
        "revoked",
    ]
    readonly_fields: ClassVar[Any] = fields

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    @admin.display(description="State")
    def state(self, key: APIKey) -> str:
        if key.revoked_at is not None:
            return badge("dead", "Revoked")
        if key.is_over:
            return badge("off", "Expired")
        if not key.owner.is_active:
            return badge("late", "Owner disabled")
        return badge("active", "Valid")

    @admin.display(description="Begins with")
    def shown_id(self, key: APIKey) -> str:
        return format_html("<code>ops_{}_…</code>", key.key_id)

    @admin.display(description="Owner", ordering="owner__username")
    def owned_by(self, key: APIKey) -> str:
        return key.owner.username

    @admin.display(description="Scopes")
    def what(self, key: APIKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="It may")
    def allows(self, key: APIKey) -> str:
        return key.allows

    @admin.display(description="From")
    def from_where(self, key: APIKey) -> str:
        return ", ".join(key.networks) or "anywhere"

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, key: APIKey) -> str:
        if key.last_used_at is None:
            return "never"
        return format_html("{} {}", when(key.last_used_at), key.last_used_address or "")

    @admin.display(description="Made", ordering="created_at")
    def made(self, key: APIKey) -> str:
        return when(key.created_at)

    @admin.display(description="Ends", ordering="expires_at")
    def ends(self, key: APIKey) -> str:
        return when(key.expires_at)

    @admin.display(description="Replaces")
    def replaces(self, key: APIKey) -> str:
        old = key.rotated_from
        return f"ops_{old.key_id}_…" if old is not None else "-"

    @admin.display(description="Revoked")
    def revoked(self, key: APIKey) -> str:
        if key.revoked_at is None:
            return "no"
        return format_html("{} by {}. {}", when(key.revoked_at), key.revoked_by, key.revoked_reason)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> TemplateResponse | None:
        stepup.require(request)
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="revoke",
            title="Revoke these keys?",
            effect="They stop working at once, everywhere, and cannot be brought back.",
        )
        if asked is not None:
            return asked
        ended = 0
        for key in queryset:
            try:
                api_keys.revoke(
                    actor=actor_of(request), key_id=key.pk, reason="Revoked by an admin."
                )
            except DomainError as error:
                self.message_user(request, f"{key.label}: {error.message}", messages.ERROR)
            else:
                ended += 1
        if ended:
            noun = "key" if ended == 1 else "keys"
            self.message_user(request, f"{ended} {noun} revoked.", messages.SUCCESS)
        return None
