"""People in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction

from accounts.actors import actor_of
from accounts.models import User
from accounts.services import users
from core.adminbase import SettingsAdmin, ask_to_confirm, show_once
from core.adminlists import either, named
from core.components import badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse


class UserForm(forms.ModelForm[User]):
    """Who the person is and which roles they have."""

    roles = forms.ModelMultipleChoiceField(
        queryset=Group.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What each role may do stands in the documentation, page Roles.",
    )

    class Meta:
        model = User
        fields = ["username", "email", "roles", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        if "roles" in self.fields and not self.instance._state.adding:  # noqa: SLF001  # documented state API
            self.fields["roles"].initial = self.instance.groups.all()

    def clean_username(self) -> str:
        return User.normalize_username(self.cleaned_data["username"])


@admin.register(User)
class UserAdmin(SettingsAdmin[User]):
    """People; a new one gets a one-time password that is shown once."""

    form = UserForm
    list_display = ["username", "mail", "role_names", "active", "signed_in"]
    list_filter = [
        ("is_active", either("active", "Active", "Not active")),
        ("groups", named("role", admin.RelatedFieldListFilter)),
    ]
    search_fields = ["username", "email"]
    actions = ["reset_passwords"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        return ["username"] if obj is not None else []

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return ["username", "email", "roles"] + (["is_active"] if obj is not None else [])

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """People are kept for the record; take away "active" instead."""
        return False

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_user")

    @admin.display(description="E-mail", ordering="email")
    def mail(self, user: User) -> str:
        return user.email

    @admin.display(description="Active", ordering="is_active")
    def active(self, user: User) -> str:
        return badge("active", tone="ok") if user.is_active else badge("off", "Not active")

    @admin.display(description="Last sign-in", ordering="last_login")
    def signed_in(self, user: User) -> str:
        return when(user.last_login, "never")

    @admin.display(description="Roles")
    def role_names(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "none"

    def save_service(
        self, request: HttpRequest, obj: User, form: forms.ModelForm[User], change: bool
    ) -> None:
        data = form.cleaned_data
        roles = [group.name for group in data["roles"]]
        if change:
            users.update_user(
                actor=actor_of(request),
                user_id=obj.pk,
                email=data["email"],
                roles=roles,
                is_active=data["is_active"],
            )
            return
        created, password = users.create_user(
            actor=actor_of(request), username=data["username"], email=data["email"], roles=roles
        )
        obj.pk = created.pk
        obj.one_time_password = password

    def save_related(self, request: HttpRequest, *_: object) -> None:
        """Leave the groups to the service."""

    def response_add(
        self, request: HttpRequest, obj: User, post_url_continue: str | None = None
    ) -> HttpResponse:
        return show_once(
            self,
            request,
            title=f"Password of {obj.username}",
            secrets={obj.username: obj.one_time_password},
            note=f"Valid for {users.ONE_TIME_HOURS} hours; to be changed at the first sign-in.",
        )

    @admin.action(description="Give a new one-time password", permissions=["reset"])
    def reset_passwords(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> TemplateResponse | None:
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="reset_passwords",
            title="Give new one-time passwords?",
            effect="Their present passwords stop working at once.",
        )
        if asked is not None:
            return asked
        actor = actor_of(request)
        # All or none: a password that was replaced but not shown would be lost.
        with transaction.atomic():
            passwords = {
                user.username: users.reset_password(actor=actor, user_id=user.pk)
                for user in queryset
            }
        return show_once(
            self,
            request,
            title="New one-time passwords",
            secrets=passwords,
            note=f"Valid for {users.ONE_TIME_HOURS} hours; to be changed at the first sign-in.",
        )
