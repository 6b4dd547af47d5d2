"""Choosing another password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts.actors import actor_of
from accounts.pages import entry
from accounts.pages.forms import NewPasswordForm
from accounts.pages.frame import render
from accounts.services import login, passwords, sessions
from core.errors import DomainError, InvalidInputError
from core.pagebase import page, told
from core.rest.permissions import SIGNED_IN

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.models import User


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def password(request: HttpRequest) -> HttpResponse:
    """Show the form, and set the new password; other sessions of the person end."""
    user = entry.person_of(request)
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        was_made_for_one_use = user.must_change_password
        try:
            _change(request, user, form)
        except InvalidInputError as error:
            for text in error.errors.get("password", [error.message]):
                form.add_error("new_password1", text)
        except DomainError as error:
            form.add_error("old_password", told(error))
        else:
            messages.success(
                request, "Your new password is in force. Other sessions of yours have ended."
            )
            target = entry.home_of(user) if was_made_for_one_use else reverse("account-password")
            return HttpResponseRedirect(target)
    return render(
        request,
        "account/password.html",
        tab="password",
        title="Change password",
        form=form,
        is_forced=user.must_change_password,
        changed_at=user.password_changed_at,
    )


def _change(request: HttpRequest, user: User, form: NewPasswordForm) -> None:
    login.confirm_password(user=user, password=form.cleaned_data["old_password"])
    session = sessions.session_of(request)
    passwords.change_own(
        actor=actor_of(request),
        user=user,
        password=form.cleaned_data["new_password1"],
        keep=session.pk if session is not None else None,
    )
    # This browser goes on; its cookie gets a new value.
    update_session_auth_hash(request, user)
