"""From where the console may be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts.actors import actor_of
from accounts.models import Installation, RolePolicy
from accounts.services import networks, stepup
from accounts.services.installations import ensure
from core import tracing
from core.adminbase import SettingsAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class ConsoleAccessForm(forms.ModelForm[Installation]):
    """The networks of the console, one a line."""

    networks = forms.CharField(
        label="Networks that the console may be opened from",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="One a line, such as 192.0.2.0/24 or 2001:db8::/32. Empty: from anywhere. "
        "Members of a role that has a list of its own are judged by that one.",
    )

    class Meta:
        model = Installation
        fields: ClassVar[list[str]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        if "networks" in self.fields:
            self.fields["networks"].initial = "\n".join(self.instance.console_networks)


@admin.register(Installation)
class ConsoleAccessAdmin(SettingsAdmin[Installation]):
    """One row, so the list is its form."""

    form = ConsoleAccessForm
    change_form_template = "admin/accounts/installation/change_form.html"
    readonly_fields = ["shown"]

    def get_fields(self, request: HttpRequest, obj: Installation | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return ["networks"] if self.has_change_permission(request, obj) else ["shown"]

    @admin.display(description="Networks that the console may be opened from")
    def shown(self, installation: Installation) -> str:
        return ", ".join(installation.console_networks) or "anywhere"

    def has_add_permission(self, request: HttpRequest, *_: object) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Installation | None = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.change_view(request, str(ensure().pk), extra_context=extra_context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method != "POST" and self.has_change_permission(request):
            stepup.require(request)  # before anything is typed
        limited = RolePolicy.objects.exclude(networks=[]).select_related("group")
        shown = {
            "title": "Console access",
            "own_address": tracing.current().address,
            "limited_roles": [
                (policy.group, ", ".join(policy.networks)) for policy in limited.order_by("group")
            ],
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, shown)

    def save_service(
        self,
        request: HttpRequest,
        obj: Installation,
        form: forms.ModelForm[Installation],
        change: bool,
    ) -> None:
        stepup.require(request)
        networks.set_console_networks(
            actor=actor_of(request), networks=form.cleaned_data["networks"].splitlines()
        )

    def response_change(self, request: HttpRequest, obj: Installation) -> HttpResponse:
        self.message_user(request, "The networks of the console were saved.")
        return HttpResponseRedirect(reverse("admin:accounts_installation_changelist"))
