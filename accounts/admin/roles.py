"""Roles in the console: what each allows, and what it asks of its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import Count, Q
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from accounts.actors import actor_of
from accounts.models import RolePolicy
from accounts.roles import AREAS, PURPOSE, ROLES, held_in
from accounts.services import networks, stepup
from core.adminbase import SettingsAdmin
from core.components import badge

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

admin.site.unregister(Group)


class RolePolicyForm(forms.ModelForm[Group]):
    """What a role asks of its members beyond a password."""

    mfa_required = forms.BooleanField(
        label="Second factor required",
        required=False,
        help_text="Members without a second factor can do nothing but enrol one.",
    )
    networks = forms.CharField(
        label="Networks that members may come from",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line, such as 10.0.0.0/8. Empty: from anywhere. A member of several "
        "roles must meet every list. Members are judged by this list and not by the console's.",
    )

    class Meta:
        model = Group
        fields: ClassVar[list[str]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        policy = RolePolicy.objects.filter(group=self.instance).first()
        if policy is not None and "networks" in self.fields:
            self.fields["mfa_required"].initial = policy.mfa_required
            self.fields["networks"].initial = "\n".join(policy.networks)


@admin.register(Group)
class RoleAdmin(SettingsAdmin[Group]):
    """The built-in roles; their permissions come from the table in the code."""

    form = RolePolicyForm
    list_display = ["role", "purpose", "members", "asks"]
    readonly_fields = ["purpose", "allowed", "asks"]

    class Media:
        css: ClassVar = {"all": ["css/account.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        policy = (
            ["mfa_required", "networks"] if self.has_change_permission(request, obj) else ["asks"]
        )
        return [
            ("What it asks of its members", {"fields": policy}),
            ("What it allows", {"fields": ["purpose", "allowed"]}),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        found = super().get_queryset(request).select_related("policy")
        return found.annotate(active=Count("user", filter=Q(user__is_active=True)))

    def has_add_permission(self, request: HttpRequest, *_: object) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.has_perm("accounts.change_rolepolicy")

    @admin.display(description="Role", ordering="name")
    def role(self, group: Group) -> str:
        return group.name

    @admin.display(description="What it is for")
    def purpose(self, group: Group) -> str:
        return PURPOSE.get(group.name, "-")

    @admin.display(description="Members", ordering="active")
    def members(self, group: Group) -> int:
        return int(getattr(group, "active", 0))

    @admin.display(description="What it asks")
    def asks(self, group: Group) -> str:
        policy = getattr(group, "policy", None)
        parts = []
        if policy is not None and policy.mfa_required:
            parts.append(badge("ok", "Second factor"))
        if policy is not None and policy.networks:
            parts.append(badge("info", f"{len(policy.networks)} networks"))
        return format_html_join(" ", "{}", ((part,) for part in parts)) or "a password"

    @admin.display(description="In plain words")
    def allowed(self, group: Group) -> str:
        if group.name not in ROLES:
            return "-"
        cells = [_cell(area.name, *held_in(area, group.name)) for area in AREAS]
        shown = [cell for cell in cells if cell]
        own = _cell("Own account", [], ["profile, password, second factors, sessions"])
        return format_html(
            '<div class="rights">{}</div>',
            format_html_join("", "{}", ((cell,) for cell in [own, *shown])),
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method != "POST" and self.has_change_permission(request):
            stepup.require(request)  # before anything is typed
        return super().change_view(request, object_id, form_url, extra_context)

    def response_change(self, request: HttpRequest, obj: Group) -> HttpResponse:
        self.message_user(request, f"The role {obj.name} was saved.", messages.SUCCESS)
        stays = "_continue" in request.POST
        return HttpResponseRedirect(
            request.get_full_path() if stays else reverse("admin:auth_group_changelist")
        )

    def save_service(
        self, request: HttpRequest, obj: Group, form: forms.ModelForm[Group], change: bool
    ) -> None:
        stepup.require(request)
        networks.set_role_policy(
            actor=actor_of(request),
            group_id=obj.pk,
            mfa_required=form.cleaned_data["mfa_required"],
            networks=form.cleaned_data["networks"].splitlines(),
        )

    def save_related(self, request: HttpRequest, *_: object) -> None:
        """Leave everything to the service."""


def _cell(name: str, reads: list[str], changes: list[str]) -> str:
    if not reads and not changes:
        return ""
    mark = badge("ok", "Changes") if changes else badge("info", "Reads")
    words = ", ".join([*changes, *reads])
    return format_html("<div><h3>{} {}</h3><p>{}</p></div>", name, mark, words)
