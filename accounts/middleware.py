"""A person with a one-time password may do one thing: choose another."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from django.http import HttpResponseRedirect
from django.urls import reverse

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase


class PasswordChangeMiddleware:
    """Leads the console to the password page until the one-time password is changed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Redirect console pages; the API answers for itself."""
        if request.path.startswith(self._index) and getattr(
            request.user, "must_change_password", False
        ):
            allowed = {
                reverse("admin:password_change"),
                reverse("admin:logout"),
                reverse("admin:jsi18n"),
            }
            if request.path not in allowed:
                return HttpResponseRedirect(reverse("admin:password_change"))
        return self._get_response(request)

    @cached_property
    def _index(self) -> str:
        # Looked up once: every request asks for it.
        return reverse("admin:index")
