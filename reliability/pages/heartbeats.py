"""Where jobs report: an address per heartbeat, without session, cookie or token beside it."""

from __future__ import annotations

import logging
import math
import re
import signal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt

from core import ratelimit, tracing
from core.errors import TooManyError
from core.rest.permissions import PUBLIC
from reliability.engine.heartbeats import Kind
from reliability.models.heartbeats import MAX_BODY
from reliability.selectors.heartbeats import PATH
from reliability.services import heartbeats

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

logger = logging.getLogger(__name__)

METHODS: Final = ("GET", "HEAD", "POST")
_KINDS: Final = {
    "": Kind.SUCCESS,
    "start": Kind.START,
    "fail": Kind.FAIL,
    "log": Kind.LOG,
}
_EXIT_CODE: Final = re.compile(r"[0-9]{1,3}")
_MOST_EXIT_CODE: Final = 255
# What systemd tells of a job that a signal ended is its name; shells tell 128 and its number.
_BY_SIGNAL: Final = {
    name: 128 + number
    for full, number in signal.Signals.__members__.items()
    for name in (full, full.removeprefix("SIG"))
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PLAIN: Final = "text/plain; charset=utf-8"
_UNKNOWN: Final = (
    "No job reports here. Compare the address with that on the page of the heartbeat; it may have "
    "been renewed.\n"
)
_AWAY: Final = "The report could not be stored; report again in a few seconds.\n"
_NONSENSE: Final = (
    "Add nothing to the address for a success, or /start, /fail, /log, the exit code, 0 to 255, or "
    "the name of the signal that ended the job, as in /KILL.\n"
)


@csrf_exempt
def report(request: HttpRequest, token: str, what: str = "") -> HttpResponse:
    """Take one report of a job; an unknown address is always answered alike.

    `?rid=` names the run. Of a body the first 10 KB are kept. HEAD only tells whether somebody
    reports here.
    """
    if request.method not in METHODS:
        return _answer("Use GET, HEAD or POST.\n", status=405, headers={"Allow": "GET, HEAD, POST"})
    what = what.rstrip("/")
    kind, exit_code = _KINDS.get(what), _exit_code(what)
    if exit_code is not None:
        kind = Kind.FAIL if exit_code else Kind.SUCCESS
    run_id = request.GET.get("rid", "")
    if len(run_id) > heartbeats.MAX_RUN_ID or not run_id.isprintable():
        text = f"A run id has up to {heartbeats.MAX_RUN_ID} printable characters.\n"
        return _answer(text, status=400)
    try:
        return _take(request, token, kind, exit_code, run_id)
    except TooManyError as error:
        return _too_many(error.message, error.retry_after or 1)
    except Exception:
        # Django's own line about a view that fails shows the address.
        logger.exception("A report of a job could not be taken.")
        return _answer(_AWAY, status=503, headers={"Retry-After": "10"})


# What the tests of architecture read: anybody may call, and the address is the secret.
report.capabilities = dict.fromkeys(METHODS, PUBLIC)  # type: ignore[attr-defined]


class ReportMiddleware:
    """Answers reports before sessions, pages and their limits, which reports do not need."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a report, or pass the request on."""
        path = request.path_info
        if not path.startswith(PATH):
            return self._get_response(request)
        token, _, what = path.removeprefix(PATH).partition("/")
        return report(request, token, what)


def _exit_code(what: str) -> int | None:
    """Return the exit code that a report tells, by number or by the name of a signal."""
    if _EXIT_CODE.fullmatch(what) and int(what) <= _MOST_EXIT_CODE:
        return int(what)
    return _BY_SIGNAL.get(what)


def _take(
    request: HttpRequest, token: str, kind: Kind | None, exit_code: int | None, run_id: str
) -> HttpResponse:
    is_token = bool(_UUID.fullmatch(token))
    if is_token and kind is None:
        return _answer(_NONSENSE, status=404)
    key = UUID(token) if is_token else UUID(int=0)
    address = tracing.current().address
    if request.method == "HEAD":
        # What looks whether an address is there must not end the alarm of a job that is not.
        is_known = heartbeats.is_known(key)
    else:
        is_known = kind is not None and heartbeats.ping(
            token=key,
            kind=kind,
            exit_code=exit_code,
            run_id=run_id,
            address=address or None,
            body=_body(request),
        )
    if is_known:
        return _answer("OK\n")
    # Whoever tries addresses is limited as everywhere; jobs behind the same address are not.
    wait = ratelimit.wait_of(address)
    if wait:
        return _too_many("Too many requests; wait and try again.", math.ceil(wait))
    return _answer(_UNKNOWN, status=404)


def _too_many(message: str, wait: int) -> HttpResponse:
    return _answer(f"{message}\n", status=429, headers={"Retry-After": str(wait)})


def _body(request: HttpRequest) -> str:
    """Return the beginning of what the job wrote; the rest is not even read."""
    if request.method != "POST" or request.META.get("CONTENT_LENGTH") in {"", "0"}:
        return ""
    return request.read(MAX_BODY).decode(errors="replace")


def _answer(text: str, *, status: int = 200, headers: dict[str, Any] | None = None) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type=_PLAIN, headers=headers)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Length"] = str(len(response.content))
    return response
