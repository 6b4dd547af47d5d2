"""Rate limits of the API: per principal, on every view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.throttling import BaseThrottle

from core import volatile

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class PrincipalThrottle(BaseThrottle):
    """Counts requests of one person or key; `view.throttle_limit` (a minute) narrows a dear view.

    Strangers are counted by address in `core.ratelimit`, before any view is found.
    """

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Return whether the request may pass."""
        if not request.user.is_authenticated:
            return True
        own: int | None = getattr(view, "throttle_limit", None)
        scope = type(view).__name__ if own else "api"
        decision = volatile.allow(
            key=f"principal:{request.user.pk}:{scope}",
            limit=own or settings.OPS_RATE_LIMIT,
            period_seconds=60,
        )
        self._wait = decision.retry_after_seconds
        return decision.allowed

    def wait(self) -> float:
        """Return after how many seconds the next request passes."""
        return self._wait
