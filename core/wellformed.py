"""Refuse requests that no honest client sends, before a view or the database meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.rest.errors import plain_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase


class WellFormedRequestMiddleware:
    """Answers 400 to a NUL in path or query, on which PostgreSQL fails."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or refuse it."""
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return plain_problem(400, "The address contains a NUL character.")
        return self._get_response(request)
