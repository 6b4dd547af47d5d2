"""One's own second factors: apps, passkeys and recovery codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import segno
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import mark_safe

from accounts.actors import actor_of
from accounts.engine import totp as codes
from accounts.models import Passkey, TOTPDevice, User
from accounts.pages import entry
from accounts.pages.forms import AppForm, LabelForm
from accounts.pages.frame import render
from accounts.services import mfa, passkeys, recovery, sessions, stepup, totp
from core.errors import InvalidInputError, NotFoundError
from core.pagebase import page, told
from core.rest.permissions import SIGNED_IN

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from accounts.models import UserSession


@page(GET=SIGNED_IN)
def overview(request: HttpRequest) -> HttpResponse:
    """Show the second factors of the person."""
    user = entry.person_of(request)
    status = mfa.status(user)
    return render(
        request,
        "account/mfa/overview.html",
        tab="mfa",
        title="Second factor",
        status=status,
        apps=TOTPDevice.objects.filter(user=user).exclude(confirmed_at=None).order_by("created_at"),
        passkeys=Passkey.objects.filter(user=user),
        few=recovery.FEW,
        rp=passkeys.party_of(request),
        must_enrol=status.required and not status.enrolled,
    )


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def add_app(request: HttpRequest) -> HttpResponse:
    """Show a new seed as a QR code, and take the first code."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("account-mfa"))
    stepup.require(request)
    user, session = entry.person_of(request), _session(request)
    token = request.POST.get("token", "")
    if not token:
        token, seed = totp.begin(user=user, session=session.pk)
        return _app_page(request, user, token, seed, AppForm())
    seed = totp.seed_of(user=user, session=session.pk, token=token)
    form = AppForm(request.POST)
    if not form.is_valid():
        return _app_page(request, user, token, seed, form)
    try:
        device = totp.confirm(
            actor=actor_of(request),
            user=user,
            session=session.pk,
            token=token,
            code=form.cleaned_data["code"],
            label=form.cleaned_data["label"],
        )
    except InvalidInputError as error:
        form.add_error("code", told(error))
        return _app_page(request, user, token, seed, form)
    return _added(request, user, session, method="otp", what=f"authenticator app {device.label}")


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def add_passkey(request: HttpRequest) -> HttpResponse:
    """Ask the browser for a new passkey, and keep what it made."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("account-mfa"))
    stepup.require(request)
    user, session = entry.person_of(request), _session(request)
    rp = passkeys.party_of(request)
    if "response" not in request.POST:
        try:
            token, options = passkeys.begin(user=user, session=session.pk, rp=rp)
        except InvalidInputError as error:
            messages.error(request, told(error))
            return HttpResponseRedirect(reverse("account-mfa"))
        return render(
            request,
            "account/mfa/passkey.html",
            tab="mfa",
            title="Add a passkey",
            token=token,
            options=json.dumps(options),
        )
    try:
        device = passkeys.finish(
            actor=actor_of(request),
            user=user,
            session=session.pk,
            rp=rp,
            token=request.POST.get("token", ""),
            response=entry.answer_of(request),
            label=request.POST.get("label", ""),
        )
    except InvalidInputError as error:
        messages.error(request, told(error))
        return HttpResponseRedirect(reverse("account-mfa"))
    return _added(request, user, session, method="hwk", what=f"passkey {device.label}")


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def new_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes and show them this once."""
    user = entry.person_of(request)
    if request.method == "POST":
        stepup.require(request)
        if not mfa.status(user).enrolled:
            message = "Recovery codes stand in for a second factor. Add one first."
            raise InvalidInputError(message)
        made = recovery.renew(actor=actor_of(request), user=user)
        return _codes_page(request, user, made)
    return render(
        request,
        "account/mfa/new_codes.html",
        tab="mfa",
        title="New recovery codes?",
        left=recovery.left(user),
    )


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def rename(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Give a factor another name."""
    user = entry.person_of(request)
    device = mfa.device_of(user, device_id)
    form = LabelForm(request.POST or None, initial={"label": device.label})
    if request.method == "POST" and form.is_valid():
        mfa.rename(
            actor=actor_of(request),
            user=user,
            device_id=device_id,
            label=form.cleaned_data["label"],
        )
        messages.success(request, "The name was saved.")
        return HttpResponseRedirect(reverse("account-mfa"))
    return render(
        request,
        "account/mfa/rename.html",
        tab="mfa",
        title=f"Rename {device.label}",
        form=form,
        device=device,
    )


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def remove(request: HttpRequest, device_id: UUID) -> HttpResponse:
    """Ask, and take a factor away."""
    stepup.require(request)
    user = entry.person_of(request)
    device = mfa.device_of(user, device_id)
    status = mfa.status(user)
    if request.method == "POST":
        session = _session(request)
        try:
            mfa.remove(actor=actor_of(request), user=user, device_id=device_id, keep=session.pk)
        except InvalidInputError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, f"{device.label} was removed. Other sessions have ended.")
        return HttpResponseRedirect(reverse("account-mfa"))
    return render(
        request,
        "account/mfa/remove.html",
        tab="mfa",
        title=f"Remove {device.label}?",
        device=device,
        is_last=status.totp + status.passkeys == 1,
    )


def _added(
    request: HttpRequest, user: User, session: UserSession, *, method: str, what: str
) -> HttpResponse:
    """Let the session count as proven by the new factor, and show codes with the first one."""
    stepup.note(user=user, session=session, method=method)
    made = mfa.codes_after_first(actor=actor_of(request), user=user)
    messages.success(request, f"The {what} was added.")
    if made:
        # Whoever was held up until this was done goes on to where they start.
        was_due = getattr(request, "is_restricted", False)
        return _codes_page(request, user, made, entry.home_of(user) if was_due else "")
    return HttpResponseRedirect(reverse("account-mfa"))


def _app_page(
    request: HttpRequest, user: User, token: str, seed: bytes, form: AppForm
) -> HttpResponse:
    address = codes.address(seed, issuer=totp.ISSUER, name=user.username)
    drawn = segno.make(address, micro=False).svg_inline(
        scale=4, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return render(
        request,
        "account/mfa/app.html",
        tab="mfa",
        title="Add an authenticator app",
        token=token,
        form=form,
        # Drawn by the library from an address whose parts are quoted.
        qr=mark_safe(drawn),  # noqa: S308
        seed=codes.written(seed),
        address=address,
    )


def _codes_page(
    request: HttpRequest, user: User, made: list[str], onward: str = ""
) -> HttpResponse:
    text = "".join(f"{code}\n" for code in made)
    return render(
        request,
        "account/mfa/codes.html",
        tab="mfa",
        title="Your recovery codes",
        codes=made,
        text=text,
        file=f"OpsPlatform recovery codes of {user.username}\n\n{text}",
        onward=onward or reverse("account-mfa"),
    )


def _user(request: HttpRequest) -> User:
    return entry.person_of(request)


def _session(request: HttpRequest) -> UserSession:
    session = sessions.session_of(request)
    if session is None:
        message = "Sign in again."
        raise NotFoundError(message)
    return session
