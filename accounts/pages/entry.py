"""What the pages of signing in share: where to go on, and the cookies between the steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib import auth, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from accounts.actors import person_id_of
from accounts.models import User
from accounts.services import challenges, devices
from core.errors import NotSignedInError

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from accounts.services.login import SignedIn

NEXT: Final = "next"
_PREFIX: Final = "__Host-" if settings.HTTPS else ""
_DEVICE: Final = f"{_PREFIX}ops_device"
_STEP: Final = f"{_PREFIX}ops_step"
_LONGEST_ANSWER: Final = 20_000


def asked_next(request: HttpRequest) -> str:
    """Return the page of ours that the person wanted to open, or nothing."""
    wanted = request.POST.get(NEXT) or request.GET.get(NEXT) or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else ""


def with_next(route: str, request: HttpRequest) -> str:
    """Return the address of a step that leads on to where the person wanted to go."""
    wanted = asked_next(request)
    return reverse(route) + (f"?{urlencode({NEXT: wanted})}" if wanted else "")


def person_of(request: HttpRequest) -> User:
    """Return who is signed in, as the database has them now."""
    person_id = person_id_of(request)
    if person_id is None:
        raise PermissionDenied
    return User.objects.get(pk=person_id)


def home_of(user: User) -> str:
    """Return where a person starts."""
    return reverse("admin:index" if user.is_staff else "account")


def let_in(request: HttpRequest, signed_in: SignedIn) -> HttpResponse:
    """Begin the session of a browser, and lead to the page that was asked for.

    Whose account has changed since the proof is led back to the form.
    """
    user = signed_in.user
    # The receiver that begins the session reads how the person proved themselves.
    request.sign_in = signed_in  # type: ignore[attr-defined]
    try:
        auth.login(request, user)
    except NotSignedInError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(with_next("admin:login", request))
    wanted = asked_next(request)
    if not user.is_staff and wanted.startswith(reverse("admin:index")):
        wanted = ""
    response = HttpResponseRedirect(wanted or home_of(user))
    response.delete_cookie(_STEP, samesite="Lax")
    cookie = devices.remember(device_of(request), user.username, epoch=user.epoch)
    _set(response, _DEVICE, cookie, devices.SECONDS)
    return response


def device_of(request: HttpRequest) -> str:
    """Return the cookie of a browser that somebody signed in with before."""
    return request.COOKIES.get(_DEVICE, "")


def step_of(request: HttpRequest) -> str:
    """Return the token of the second step."""
    return request.COOKIES.get(_STEP, "")


def keep_step(response: HttpResponse, token: str) -> None:
    """Keep the token of the second step where no script reads it and no address shows it."""
    _set(response, _STEP, token, challenges.SECONDS)


def answer_of(request: HttpRequest) -> dict[str, Any]:
    """Return what the authenticator answered, as the page's script has put it into the form."""
    text = request.POST.get("response", "")
    if len(text) > _LONGEST_ANSWER:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _set(response: HttpResponse, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name, value, max_age=seconds, secure=settings.HTTPS, httponly=True, samesite="Lax"
    )
