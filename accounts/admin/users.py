"""People in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.actors import actor_of
from accounts.admin.user_acts import UserActs
from accounts.models import Passkey, TOTPDevice, User
from accounts.roles import PURPOSE
from accounts.selectors import people
from accounts.services import lockout, stepup, users
from core.adminbase import show_once
from core.adminlists import either, named
from core.components import badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

_SHOWN = 20


class RoleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Roles with what each is for."""

    def label_from_instance(self, obj: Group) -> str:
        return f"{obj.name}: {PURPOSE.get(obj.name, 'a role of your own')}"


class UserForm(forms.ModelForm[User]):
    """Who the person is and which roles they have."""

    roles = RoleChoice(
        queryset=Group.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Taking one away ends the person's sessions; a new one acts at once. Without "
        "any, they can sign in, and keep their own account, but not open the console.",
    )

    class Meta:
        model = User
        fields = ["username", "email", "roles"]
        labels: ClassVar = {"email": "E-mail"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        if "roles" in self.fields and not self.instance._state.adding:  # noqa: SLF001  # documented state API
            self.fields["roles"].initial = self.instance.groups.all()

    def clean_username(self) -> str:
        return User.normalize_username(self.cleaned_data["username"])


@admin.register(User)
class UserAdmin(UserActs):
    """People; a new one gets a one-time password that is shown once."""

    form = UserForm
    change_form_template = "admin/accounts/user/change_form.html"
    list_display = ["username", "mail", "role_names", "active", "second_factor", "signed_in"]
    list_filter = [
        ("is_active", either("active", "Active", "Not active")),
        ("groups", named("role", admin.RelatedFieldListFilter)),
    ]
    search_fields = ["username", "email"]

    class Media:
        css: ClassVar = {"all": ["css/account.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        apps = TOTPDevice.objects.filter(user=OuterRef("pk")).exclude(confirmed_at=None)
        keys = Passkey.objects.filter(user=OuterRef("pk"))
        found = super().get_queryset(request).prefetch_related("groups")
        return found.annotate(has_factor=Exists(apps) | Exists(keys))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        return ["username"] if obj is not None else []

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        return ["username", "email", "roles"]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """People are kept for the record; disable them instead."""
        return False

    @admin.display(description="E-mail", ordering="email")
    def mail(self, user: User) -> str:
        return user.email

    @admin.display(description="Active", ordering="is_active")
    def active(self, user: User) -> str:
        return badge("active", tone="ok") if user.is_active else badge("off", "Not active")

    @admin.display(description="Second factor", ordering="has_factor")
    def second_factor(self, user: User) -> str:
        return badge("ok", "On") if getattr(user, "has_factor", False) else badge("off", "None")

    @admin.display(description="Last sign-in", ordering="last_login")
    def signed_in(self, user: User) -> str:
        return when(user.last_login, "never")

    @admin.display(description="Roles")
    def role_names(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "none"

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method != "POST" and self.has_add_permission(request):
            # Before the form is filled in, not after.
            stepup.require(request)
        return super().add_view(request, form_url, extra_context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        if request.method != "POST" and self.has_change_permission(request, user):
            stepup.require(request)  # before anything is typed
        shown = self._panels(request, user) if user is not None else {}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def _panels(self, request: HttpRequest, user: User) -> dict[str, Any]:
        """Return what stands beside the form: how the account is guarded and used."""
        if not self.has_view_permission(request, user):
            return {}
        standing = people.standing_of(user)
        locked = lockout.locked_until(user.username, user.pk)
        sessions, keys = people.sessions_of(user), people.keys_of(user)
        sees = request.user.has_perm
        return {
            "account_facts": [
                ("Last sign-in", when(user.last_login, "never")),
                ("Locked", _until(locked) if locked else "no"),
                ("Second factor", standing.factors_text),
                ("Required by a role", "yes" if standing.factor_required else "no"),
                ("Password", _password_of(user)),
                ("Made", when(user.created_at)),
                *([("Disabled", when(user.disabled_at))] if user.disabled_at else []),
                ("Break-glass", "superuser: every sign-in raises an alert")
                if user.is_superuser
                else ("Console", _console_of(user)),
            ],
            "user_sessions": list(sessions[:_SHOWN]) if sees("accounts.view_usersession") else None,
            "user_keys": list(keys[:_SHOWN]) if sees("accounts.view_apikey") else None,
            "user_acts": self.acts_for(request, user, standing, locked=locked is not None),
            "acts_url": reverse("admin:accounts_user_changelist"),
        }

    def save_service(
        self, request: HttpRequest, obj: User, form: forms.ModelForm[User], change: bool
    ) -> None:
        stepup.require(request)
        data = form.cleaned_data
        roles = [group.name for group in data["roles"]]
        if change:
            users.update_user(
                actor=actor_of(request),
                user_id=obj.pk,
                email=data["email"],
                roles=roles,
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


def _console_of(user: User) -> str:
    if user.is_staff:
        return "yes"
    if user.groups.exists():
        return "no, their own account only"
    return "no: without a role they have their own account and nothing else"


def _until(moment: Any) -> str:  # noqa: ANN401  # a datetime; format_html wants objects
    return format_html("{} ends {}", badge("locked", "Locked", tone="bad"), when(moment))


def _password_of(user: User) -> str:
    if user.must_change_password:
        is_over = (
            user.password_expires_at is not None and user.password_expires_at <= timezone.now()
        )
        said = "one-time, expired {}" if is_over else "one-time, expires {}"
        return format_html(said, when(user.password_expires_at, "-"))
    return format_html("their own, since {}", when(user.password_changed_at, "the beginning"))
