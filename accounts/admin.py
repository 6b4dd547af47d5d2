"""People and roles in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.html import format_html_join

from accounts.actors import actor_for, actor_of
from accounts.models import User
from accounts.roles import PURPOSE
from accounts.services import users
from audit.services.records import record_refusal
from core.adminbase import RecordAdmin, SettingsAdmin, ask_to_confirm, show_once
from core.adminlists import either, named
from core.components import badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse

admin.site.unregister(Group)


_REFUSED: Final = (
    "That did not work. Check the username and the password; upper and lower case differ."
)


class ConsoleLoginForm(AdminAuthenticationForm):
    """Signing in; a one-time password that has run out is refused."""

    # The same for every reason: it must not tell who exists, or who may come in.
    error_messages = {  # Django declares it for instances
        **AdminAuthenticationForm.error_messages,
        "invalid_login": _REFUSED,
        "inactive": _REFUSED,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        if self.is_bound:
            for field in self.fields.values():
                field.widget.attrs["aria-describedby"] = "refused"

    def confirm_login_allowed(self, user: User) -> None:
        try:
            super().confirm_login_allowed(user)
            _refuse_expired(user)
        except ValidationError:
            # The password was right, so Django sends no signal of a failure.
            reason = "Right password, but no access to the console or an expired one-time password."
            record_refusal(actor=actor_for(user), action="session.refused", reason=reason)
            raise


def _refuse_expired(user: User) -> None:
    if user.password_expires_at is not None and user.password_expires_at <= timezone.now():
        message = (
            "This one-time password has expired. Ask an admin for another, or run on the machine: "
            "manage.py reset_password NAME"
        )
        raise ValidationError(message, code="expired")


class ConsolePasswordChangeForm(PasswordChangeForm):  # not generic at run time
    """Choosing a password of one's own, through the audited service."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        self.label_suffix = ""

    def clean_new_password1(self) -> str:
        password: str = self.cleaned_data["new_password1"]
        if self.user.check_password(password):
            message = "Choose another password than the one you have."
            raise ValidationError(message, code="unchanged")
        return password

    def save(self, commit: bool = True) -> User:  # Django's signature
        users.change_own_password(
            actor=actor_for(self.user),
            user=self.user,
            password=self.cleaned_data["new_password1"],
        )
        return self.user


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


@admin.register(Group)
class RoleAdmin(RecordAdmin[Group]):
    """The built-in roles; their permissions come from the table in the code."""

    list_display = ["role", "purpose"]
    fields = ["role", "purpose", "allowed"]
    readonly_fields = ["role", "purpose", "allowed"]

    @admin.display(description="Role", ordering="name")
    def role(self, group: Group) -> str:
        return group.name

    @admin.display(description="What it is for")
    def purpose(self, group: Group) -> str:
        return PURPOSE.get(group.name, "-")

    @admin.display(description="What it allows")
    def allowed(self, group: Group) -> str:
        names = group.permissions.values_list("name", flat=True).order_by("name")
        return format_html_join(", ", "{}", ((name.removeprefix("Can "),) for name in names)) or "-"
