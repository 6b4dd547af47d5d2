"""Who one is on this platform, and how well the account is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import NoReverseMatch, reverse

from accounts.actors import actor_of
from accounts.models import User
from accounts.pages.frame import person, render
from accounts.roles import PURPOSE
from accounts.selectors import people
from accounts.services import users
from core.components import when
from core.pagebase import page
from core.rest.permissions import SIGNED_IN

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class ProfileForm(forms.ModelForm[User]):
    """What a person may change about themselves."""

    class Meta:
        model = User
        fields = ["email"]
        labels = {"email": "E-mail"}
        help_texts = {"email": "Alerts that are for you go there, and what concerns your account."}


@dataclass(frozen=True)
class _Row:
    title: str
    word: str
    badge: str
    tone: str
    text: str
    href: str
    act: str


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def profile(request: HttpRequest) -> HttpResponse:
    """Show the person's own account, and take another e-mail address."""
    # Read anew: a form that is refused leaves its values on the row it was given.
    user = User.objects.get(pk=person(request).pk)
    form = ProfileForm(request.POST or None, instance=user)
    form.label_suffix = ""
    if request.method == "POST" and form.is_valid():
        users.change_own_email(
            actor=actor_of(request), user_id=user.pk, email=form.cleaned_data["email"]
        )
        messages.success(request, "Your e-mail address was saved.")
        return HttpResponseRedirect(reverse("account"))
    roles = [(name, PURPOSE.get(name, "")) for name in people.roles_of(user)]
    return render(
        request,
        "account/profile.html",
        tab="profile",
        title="Your account",
        form=form,
        identity=[
            ("Name", user.username),
            ("Member since", when(user.created_at)),
            ("Last sign-in", when(user.last_login, "never")),
        ],
        safety=_safety(user),
        roles=roles,
    )


def _safety(user: User) -> list[_Row]:
    """Return what guards the account, each with how it stands and where to change it."""
    standing = people.standing_of(user)
    factor = (
        _Row(
            "Second factor",
            "ok",
            "On",
            "ok",
            standing.factors_text,
            _href("account-mfa"),
            "Manage",
        )
        if standing.has_factor
        else _Row(
            "Second factor",
            "off",
            "Required" if standing.factor_required else "Off",
            "bad" if standing.factor_required else "warn",
            "Whoever learns your password can sign in as you. An app or a passkey prevents that.",
            _href("account-mfa"),
            "Set up",
        )
    )
    changed = user.password_changed_at
    return [
        factor,
        _Row(
            "Password",
            "ok",
            "Yours" if changed else "One-time",
            "ok" if changed else "warn",
            f"Changed {changed:%d %b %Y}." if changed else "Choose one that only you know.",
            _href("account-password"),
            "Change",
        ),
        _Row(
            "Sessions",
            "info",
            str(standing.sessions),
            "info",
            "Browsers and programs that are signed in as you.",
            _href("account-sessions"),
            "Show",
        ),
    ]


def _href(route: str) -> str:
    try:
        return reverse(route)
    except NoReverseMatch:
        return ""
