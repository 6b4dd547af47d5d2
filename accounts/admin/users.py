"""People in the console."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.actors import actor_of
from accounts.models import Passkey, TOTPDevice, User
from accounts.roles import PURPOSE
from accounts.selectors import people
from accounts.services import api_keys, lockout, mfa, revocation, stepup, users
from core.adminbase import SettingsAdmin, ask_to_confirm, show_once
from core.adminlists import either, named
from core.components import badge, when
from core.errors import DomainError, StepUpRequiredError
from core.pagebase import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.template.response import TemplateResponse

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
class UserAdmin(SettingsAdmin[User]):
    """People; a new one gets a one-time password that is shown once."""

    form = UserForm
    change_form_template = "admin/accounts/user/change_form.html"
    list_display = ["username", "mail", "role_names", "active", "second_factor", "signed_in"]
    list_filter = [
        ("is_active", either("active", "Active", "Not active")),
        ("groups", named("role", admin.RelatedFieldListFilter)),
    ]
    search_fields = ["username", "email"]
    actions = [
        "disable",
        "enable",
        "end_sessions",
        "end_keys",
        "unlock",
        "reset_passwords",
        "reset_second_factors",
    ]

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

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_user")

    def has_disable_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.disable_user")

    def has_end_keys_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_usersession")

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
            "user_acts": self._acts(request, user, standing, locked=locked is not None),
            "acts_url": reverse("admin:accounts_user_changelist"),
        }

    def _acts(
        self, request: HttpRequest, user: User, standing: people.Standing, *, locked: bool
    ) -> list[tuple[str, str]]:
        """Return the actions that make sense for this person, each with its button's text."""
        offered = self.get_actions(request)
        sensible = {
            "disable": user.is_active,
            "enable": not user.is_active,
            "end_sessions": standing.sessions > 0,
            "end_keys": standing.keys > 0,
            "unlock": locked,
            "reset_passwords": user.is_active,
            "reset_second_factors": bool(getattr(user, "has_factor", False)),
        }
        return [
            (name, str(offered[name][2]))
            for name, makes_sense in sensible.items()
            if makes_sense and name in offered
        ]

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

    @admin.action(description="Disable", permissions=["disable"])
    def disable(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="disable",
            title="Disable {}?",
            effect="They cannot sign in, and whatever they or their keys are doing ends at once.",
            act=partial(users.disable_user, actor=actor_of(request)),
            done="Disabled",
            is_dangerous=True,
        )

    @admin.action(description="Enable", permissions=["disable"])
    def enable(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="enable",
            title="Enable {}?",
            effect="They can sign in again, and API keys of theirs that have not ended work.",
            act=partial(users.enable_user, actor=actor_of(request)),
            done="Enabled",
        )

    @admin.action(description="End all sessions", permissions=["end"])
    def end_sessions(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="end_sessions",
            title="End all sessions of {}?",
            effect="Every browser and program of theirs is signed out. API keys go on.",
            act=partial(revocation.end_all, actor=actor_of(request), reason="Ended by an admin."),
            done="Signed out everywhere",
            is_dangerous=True,
        )

    @admin.action(description="End all API keys", permissions=["end_keys"])
    def end_keys(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="end_keys",
            title="End all API keys of {}?",
            effect="Whatever uses them stops working at once. New ones can be made.",
            act=partial(api_keys.revoke_all, actor=actor_of(request), reason="Ended by an admin."),
            done="Left without API keys",
            is_dangerous=True,
        )

    @admin.action(description="Unlock", permissions=["reset"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="unlock",
            title="Unlock {}?",
            effect="Wrong passwords and codes are counted from nothing again.",
            act=partial(lockout.unlock, actor=actor_of(request)),
            done="Unlocked",
        )

    @admin.action(description="Remove second factors", permissions=["reset"])
    def reset_second_factors(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> TemplateResponse | None:
        return self._each(
            request,
            queryset,
            action="reset_second_factors",
            title="Remove the second factors of {}?",
            effect="Apps, passkeys and recovery codes of theirs are forgotten and their sessions "
            "end. Make sure by another way that it is they who ask.",
            act=partial(mfa.reset, actor=actor_of(request)),
            done="Left without a second factor",
            is_dangerous=True,
        )

    @admin.action(description="Give a new one-time password", permissions=["reset"])
    def reset_passwords(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> TemplateResponse | None:
        stepup.require(request)
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="reset_passwords",
            title=f"Give {_named(queryset)} a new one-time password?",
            effect="Their current passwords stop working at once, and their sessions end. API keys "
            "go on: end them too if somebody else may know the password.",
            is_dangerous=True,
        )
        if asked is not None:
            return asked
        return show_once(
            self,
            request,
            title="New one-time passwords",
            secrets=users.reset_passwords(
                actor=actor_of(request), user_ids=[user.pk for user in queryset]
            ),
            note=f"Valid for {users.ONE_TIME_HOURS} hours; to be changed at the first sign-in.",
        )

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[User],
        *,
        action: str,
        title: str,
        effect: str,
        act: Callable[..., object],
        done: str,
        is_dangerous: bool = False,
    ) -> TemplateResponse | None:
        """Ask, then do the same to each person; what is refused for one is told by name."""
        stepup.require(request)
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action=action,
            title=title.format(_named(queryset)),
            effect=effect,
            is_dangerous=is_dangerous,
        )
        if asked is not None:
            return asked
        succeeded = []
        for user in queryset:
            try:
                act(user_id=user.pk)
            except StepUpRequiredError:
                raise
            except DomainError as error:
                self.message_user(
                    request, f"Not done for {user.username}: {told(error)}", messages.ERROR
                )
            else:
                succeeded.append(user.username)
        if succeeded:
            self.message_user(request, f"{done}: {', '.join(succeeded)}.", messages.SUCCESS)
        return None


def _console_of(user: User) -> str:
    if user.is_staff:
        return "yes"
    if user.groups.exists():
        return "no, their own account only"
    return "no: without a role they have their own account and nothing else"


def _named(chosen: QuerySet[User]) -> str:
    """Return one person's name, or how many they are."""
    names = [*chosen.values_list("username", flat=True)[:2]]
    return names[0] if len(names) == 1 else f"{chosen.count()} people"


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
