"""Changes in the console: what was told, and a form to tell one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin
from core.adminlists import BoundedPaginator, before
from core.components import when
from reliability.admin.contexts.changes import title_of
from reliability.models import Change
from reliability.services import changes

if TYPE_CHECKING:
    from django.forms import ModelForm
    from django.http import HttpRequest


@admin.register(Change)
class ChangeAdmin(SettingsAdmin[Change]):
    """Deploys and other changes, newest first; what was told stays as it is."""

    exports = True
    list_display = ["happened", "what", "service", "told_by"]
    list_display_links = ["happened"]
    list_filter = ["kind", before("at"), "at"]
    list_select_related = ["service"]
    paginator = BoundedPaginator
    search_fields = ["title", "version", "service__name"]
    search_help_text = "Title, version or service"
    fields = ["service", "kind", "title", "version", "url", "at"]
    autocomplete_fields = ["service"]
    empty_text = (
        "No change was told. Pipelines tell of deploys by POST /api/ops/changes with an API key "
        "of scope reliability:changes."
    )

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False

    def save_service(
        self, request: HttpRequest, obj: Change, form: ModelForm[Change], change: bool
    ) -> None:
        told = changes.tell(
            actor=actor_of(request),
            service_id=obj.service_id,
            kind=obj.kind,
            title=obj.title,
            version=obj.version,
            url=obj.url,
            at=obj.at,
        )
        obj.pk = told.pk

    @admin.display(description="When", ordering="at")
    def happened(self, change: Change) -> str:
        return when(change.at)

    @admin.display(description="What", ordering="title")
    def what(self, change: Change) -> str:
        return title_of(change)
