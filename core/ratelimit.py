"""Rate limits by address, before any view runs: the first wall of every route."""

from __future__ import annotations

import math
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from django.conf import settings

from core import tracing, volatile
from core.rest.errors import plain_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase


# Where people prove who they are: the console's pages, and the routes of the API.
_SIGNING_IN: Final = (
    "/login/",
    "/login/second-step/",
    "/login/passkey/",
    "/login/passkey/begin/",
    "/api/auth/login",
    "/api/auth/mfa",
    "/api/auth/passkey",
    "/api/auth/passkey/begin",
)


class AddressRateLimitMiddleware:
    """Counts each address; signing in has a limit of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, or answer 429 with Retry-After."""
        # Load balancers ask often and from one address; the answer is remembered anyway.
        if request.path == "/readyz":
            return self._get_response(request)
        address = subject_of(tracing.current().address)
        decision = volatile.allow(
            key=f"address:{address}", limit=settings.OPS_RATE_LIMIT, period_seconds=60
        )
        if decision.allowed and request.method == "POST" and request.path.endswith(_SIGNING_IN):
            decision = volatile.allow(
                key=f"login:{address}", limit=settings.OPS_LOGIN_RATE_LIMIT, period_seconds=60
            )
        if decision.allowed:
            return self._get_response(request)
        response = plain_problem(429, "Too many requests; wait and try again.")
        response["Retry-After"] = str(max(1, math.ceil(decision.retry_after_seconds)))
        return response


def wait_of(address: str) -> float:
    """Count one request of an address; return for how long it must wait, or 0."""
    decision = volatile.allow(
        key=f"address:{subject_of(address)}", limit=settings.OPS_RATE_LIMIT, period_seconds=60
    )
    return 0.0 if decision.allowed else max(1.0, decision.retry_after_seconds)


@lru_cache(maxsize=4096)
def subject_of(address: str) -> str:
    """Return what is counted: an IPv4 address, or the /64 that one IPv6 subscriber holds."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
