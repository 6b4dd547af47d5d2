"""Routes of the API answer with and without a slash at the end, without a redirect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import is_valid_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase

_API: Final = "/api/"


class EitherSlashMiddleware:
    """Takes the one address for the other where only the other exists.

    It stands before all that judges a request by its path.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, by the address that exists."""
        given = request.path_info
        if given.startswith(_API) and not is_valid_path(given):
            other = given[:-1] if given.endswith("/") else f"{given}/"
            if is_valid_path(other):
                request.path_info = other
                request.path = request.path[: len(request.path) - len(given)] + other
        return self._get_response(request)
