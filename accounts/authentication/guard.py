"""What every request with the console's cookie passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from django.conf import settings

from accounts.selectors import access
from accounts.services import sessions
from core.errors import UnavailableError
from core.rest.errors import plain_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class SessionGuardMiddleware:
    """Lets nobody in on old knowledge, and remembers when a session was used last."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request; 503 while nobody can find out what was revoked."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self._get_response(request)
        try:
            access.fresh(reading=request.method in READING)
        except UnavailableError as error:
            if not request.path.startswith("/api/"):
                raise
            response = plain_problem(error.status, error.message)
            response["Retry-After"] = "5"
            return response
        answer = self._get_response(request)
        _note_use(request)
        return answer


def _note_use(request: HttpRequest) -> None:
    # Asked only if somebody has read the session: reading it costs a query.
    if not request.session.accessed or request.session.is_empty():
        return
    sid = request.session.get(sessions.SID)
    now = int(time.time())
    if sid and abs(now - request.session.get(sessions.SEEN, 0)) >= sessions.SEEN_SECONDS:
        request.session[sessions.SEEN] = now
        sessions.note_use(sid)
