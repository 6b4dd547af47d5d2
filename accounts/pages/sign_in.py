"""Signing in with a browser: name and password, the second step, or a passkey alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpResponseRedirect, JsonResponse
from django.urls import reverse

from accounts.models import User
from accounts.pages import entry
from accounts.pages.forms import CodeForm, SignInForm
from accounts.services import login, passkeys
from core.errors import DomainError
from core.pagebase import page, render, told
from core.rest.errors import MEDIA_TYPE, problem
from core.rest.permissions import PUBLIC

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.pages.forms import AccessForm

_NOT_A_FAULT = frozenset({400, 401})
"""What a person gets wrong is told on the page, which then is as good as any."""


@page(GET=PUBLIC, POST=PUBLIC)
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the form, and judge what came in."""
    form = SignInForm(request.POST or None)
    error = None
    if request.method == "POST" and form.is_valid():
        try:
            found = login.attempt(
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password"],
                place="console",
                rp=passkeys.party_of(request),
                device=entry.device_of(request),
            )
        except DomainError as refused:
            error = refused
            form.add_error(None, told(refused))
        else:
            if isinstance(found, login.SignedIn):
                return entry.let_in(request, found)
            response = HttpResponseRedirect(entry.with_next("second-step", request))
            entry.keep_step(response, found.token)
            return response
    elif request.method == "GET" and isinstance(request.user, User):
        if request.user.is_staff:
            return HttpResponseRedirect(entry.asked_next(request) or reverse("admin:index"))
        # Whom the console refuses would be asked in vain who they are.
        messages.info(request, "Your role does not open the console. This is your own account.")
        return HttpResponseRedirect(reverse("account"))
    return _shown(request, "registration/sign_in.html", form, error, title="Sign in")


@page(GET=PUBLIC, POST=PUBLIC)
def second_step(request: HttpRequest) -> HttpResponse:
    """Ask whoever knew the password for the second factor."""
    token = entry.step_of(request)
    waiting = login.waiting(token)
    if waiting is None:
        return HttpResponseRedirect(entry.with_next("admin:login", request))
    _user, status, options = waiting
    form = CodeForm(request.POST if "code" in request.POST else None)
    error = None
    by_passkey = request.method == "POST" and "response" in request.POST
    if by_passkey or (request.method == "POST" and form.is_valid()):
        try:
            found = login.second_step(
                token=token,
                rp=passkeys.party_of(request),
                place="console",
                code="" if by_passkey else form.cleaned_data["code"],
                response=entry.answer_of(request) if by_passkey else None,
                device=entry.device_of(request),
            )
        except DomainError as refused:
            error = refused
            form.refuse(told(refused))
            # A passkey's challenge holds for one answer: the page could not ask again.
            options = None if by_passkey else options
        else:
            return entry.let_in(request, found)
    return _shown(
        request,
        "registration/second_step.html",
        form,
        error,
        title="Second step",
        status=status,
        options=json.dumps(options) if options else "",
        is_over=error is not None and login.waiting(token) is None,
    )


@page(POST=PUBLIC)
def passkey_begin(request: HttpRequest) -> HttpResponse:
    """Give the page's script what it needs to ask for a passkey."""
    try:
        token, options = login.begin_by_passkey(rp=passkeys.party_of(request), place="console")
    except DomainError as error:
        body = problem(error.status, detail=error.message, code=error.code, title=error.title)
        return JsonResponse(body, status=error.status, content_type=MEDIA_TYPE)
    return JsonResponse({"token": token, "options": options})


@page(GET=PUBLIC, POST=PUBLIC)
def by_passkey(request: HttpRequest) -> HttpResponse:
    """Sign in whoever holds the passkey that the browser offered."""
    if request.method != "POST":
        return HttpResponseRedirect(entry.with_next("admin:login", request))
    try:
        found = login.by_passkey(
            token=request.POST.get("token", ""),
            response=entry.answer_of(request),
            rp=passkeys.party_of(request),
            place="console",
            device=entry.device_of(request),
        )
    except DomainError as error:
        form = SignInForm()
        form.refuse(told(error))
        return _shown(request, "registration/sign_in.html", form, error, title="Sign in")
    return entry.let_in(request, found)


def _shown(
    request: HttpRequest,
    template: str,
    form: AccessForm,
    error: DomainError | None,
    **context: object,
) -> HttpResponse:
    usable = passkeys.party_of(request).is_usable
    shown = {"form": form, "next": entry.asked_next(request), "passkeys_usable": usable, **context}
    response = render(request, template, shown)
    if error is not None and error.status not in _NOT_A_FAULT:
        response.status_code = error.status
        if error.retry_after is not None:
            response["Retry-After"] = str(error.retry_after)
    return response
