"""Routes of the API answer with and without a slash at the end, without a redirect."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.urls import is_valid_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase

_API: Final = "/api/"
_LONGEST: Final = 200
"""No route of ours is longer, and what is remembered stays small."""


class EitherSlashMiddleware:
    """Takes the one address for the other where only the other exists.

    It stands before all that judges a request by its path.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, by the address that exists."""
        given = request.path_info
        if given.startswith(_API) and len(given) <= _LONGEST:
            existing = _existing(given)
            if existing != given:
                request.path = request.path.removesuffix(given) + existing
                request.path_info = existing
        return self._get_response(request)


@lru_cache(maxsize=4096)
def _existing(path: str) -> str:
    # Finding a route costs a fifth of a millisecond; the same few are asked for again and again.
    other = path[:-1] if path.endswith("/") else f"{path}/"
    return other if not is_valid_path(path) and is_valid_path(other) else path
