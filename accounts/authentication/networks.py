"""The lists of networks, on every request of the console and of every cookie (SPEC A10)."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from accounts.actors import actor_of
from accounts.selectors import access
from accounts.selectors.networks import lists
from accounts.services.networks import AddressRefusedError, refuse_address
from audit.services.records import record_refusal
from core import tracing
from core.errors import UnavailableError
from core.rest.errors import plain_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from django.http import HttpRequest, HttpResponseBase


class AllowedNetworkMiddleware:
    """Lets the console be opened, and a cookie be used, only from where the lists allow it.

    Tokens and keys are judged where they are verified.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, or 403 with the address that was refused."""
        in_console = request.path.startswith(self._console)
        has_cookie = settings.SESSION_COOKIE_NAME in request.COOKIES
        if not in_console and not has_cookie:
            return self._get_response(request)
        if not has_cookie:
            # Who brings a cookie has passed the guard before this. A stranger at the sign-in page
            # is judged by the last known lists while nobody can learn newer ones.
            with suppress(UnavailableError):
                access.fresh(reading=True)
        found = lists()
        # Who comes is looked up only where some list could refuse them.
        if found.roles or (in_console and found.console):
            try:
                _judge(request, "console" if in_console else "login")
            except AddressRefusedError as error:
                if request.path.startswith("/api/"):
                    return plain_problem(error.status, error.message)
                raise PermissionDenied from error
        return self._get_response(request)

    @cached_property
    def _console(self) -> tuple[str, str]:
        return reverse("admin:index"), reverse("account")


def _judge(request: HttpRequest, place: Literal["console", "login"]) -> None:
    user = request.user
    snapshot = access.snapshot(user.pk) if user.is_authenticated else None
    try:
        refuse_address(place=place, snapshot=snapshot, address=tracing.current().address)
    except AddressRefusedError:
        record_refusal(
            actor=actor_of(request),
            action="address.refused",
            reason="Not from an allowed network.",
            path=request.path[:200],
        )
        raise
