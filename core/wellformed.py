"""Refuse requests that no honest client sends, before a view or the database meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.rest.errors import plain_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase


class WellFormedRequestMiddleware:
    """Answers 400 to a NUL in path, query or cookie, on which PostgreSQL fails."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or refuse it."""
        meta = request.META
        if "\0" in request.path or "%00" in meta.get("QUERY_STRING", ""):
            return plain_problem(400, "The address contains a NUL character.")
        # Unquoting makes a NUL of this escape, and the session store would look it up.
        if "\\000" in meta.get("HTTP_COOKIE", ""):
            return plain_problem(400, "A cookie contains a NUL character.")
        return self._get_response(request)
