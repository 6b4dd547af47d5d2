"""What every request with the console's cookie passes."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from django.conf import settings

from accounts.authentication.credentials import READING
from accounts.selectors import access
from accounts.selectors.sign_ins import SID
from accounts.services import sessions
from core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase

    from accounts.authentication.sessionstore import SessionStore


class SessionGuardMiddleware:
    """Tells the session whether the request changes anything, and when it was used last."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self._get_response(request)
        # All that a request asks of memory is then of the same second. Who cannot know yet is
        # refused by the store, and only if somebody reads the session.
        with suppress(UnavailableError):
            access.fresh(reading=True)
        cast("SessionStore", request.session).is_reading = request.method in READING
        answer = self._get_response(request)
        _note_use(request)
        return answer


def _note_use(request: HttpRequest) -> None:
    # Asked only if somebody has read the session: reading it costs a query.
    if not request.session.accessed or request.session.is_empty():
        return
    sid = request.session.get(SID)
    now = int(time.time())
    if sid and abs(now - request.session.get(sessions.SEEN, 0)) >= sessions.SEEN_SECONDS:
        request.session[sessions.SEEN] = now
        sessions.note_use(sid)
