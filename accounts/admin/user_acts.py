"""What may be done to people in the console, to one or to many; each act asks first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib import admin, messages

from accounts.actors import actor_of
from accounts.models import User
from accounts.services import api_keys, lockout, mfa, revocation, stepup, users
from core.adminbase import SettingsAdmin, ask_to_confirm, show_once
from core.errors import DomainError, StepUpRequiredError
from core.pagebase import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.template.response import TemplateResponse

    from accounts.selectors import people


class UserActs(SettingsAdmin[User]):
    """The actions on people; a person's page offers those that make sense there."""

    actions = [
        "disable",
        "enable",
        "end_sessions",
        "end_keys",
        "unlock",
        "reset_passwords",
        "reset_second_factors",
    ]

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_user")

    def has_disable_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.disable_user")

    def has_end_keys_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_usersession")

    def acts_for(
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


def _named(chosen: QuerySet[User]) -> str:
    """Return one person's name, or how many they are."""
    names = [*chosen.values_list("username", flat=True)[:2]]
    return names[0] if len(names) == 1 else f"{chosen.count()} people"
