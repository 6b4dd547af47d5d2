"""Proving once more who one is, before a dangerous act."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts.pages import entry
from accounts.pages.forms import AccessForm, CodeForm, PasswordForm
from accounts.services import mfa, passkeys, sessions, stepup
from core.errors import DomainError
from core.pagebase import page, render, told
from core.rest.permissions import SIGNED_IN

if TYPE_CHECKING:
    from typing import Any

    from django.http import HttpRequest, HttpResponse

    from accounts.models import User, UserSession


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def step_up(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor, or for the password of somebody who has none."""
    user = entry.person_of(request)
    session = sessions.session_of(request)
    if session is None:
        return HttpResponseRedirect(entry.with_next("admin:login", request))
    status = mfa.status(user)
    kind: type[AccessForm] = CodeForm if status.enrolled else PasswordForm
    form = kind(request.POST if kind.base_fields.keys() & request.POST.keys() else None)
    error = None
    if request.method == "POST" and ("response" in request.POST or form.is_valid()):
        try:
            _prove(request, user, session, form)
        except DomainError as refused:
            error = refused
            form.refuse(told(refused))
        else:
            return HttpResponseRedirect(entry.asked_next(request) or entry.home_of(user))
    asked = stepup.ask(user=user, session=session, rp=passkeys.party_of(request))
    response = render(
        request,
        "account/step_up.html",
        {
            "title": "Confirm that it is you",
            "form": form,
            "status": status,
            "next": entry.asked_next(request),
            "token": asked[0] if asked else "",
            "options": json.dumps(asked[1]) if asked else "",
            "back": entry.asked_next(request) or reverse("account"),
        },
    )
    if error is not None and error.retry_after is not None:
        response.status_code = error.status
        response["Retry-After"] = str(error.retry_after)
    return response


def _prove(request: HttpRequest, user: User, session: UserSession, form: AccessForm) -> None:
    given: dict[str, Any] = (
        {"token": request.POST.get("token", ""), "response": entry.answer_of(request)}
        if "response" in request.POST
        else form.cleaned_data
    )
    stepup.prove(user=user, session=session, rp=passkeys.party_of(request), **given)
