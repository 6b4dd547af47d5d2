"""Give every request its id, its trace and its line in the log."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings

from core import tracing
from core.masking import HIDDEN
from observability.engine.client_address import client_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.http.response import HttpResponseBase

logger = logging.getLogger(__name__)

_LONGEST_PATH: Final = 512
_LONGEST_USER_AGENT: Final = 256
# Machines ask these every few seconds; their lines would bury all others.
_QUIET_PATHS: Final = frozenset({"/healthz", "/healthz/strict", "/readyz"})
# Whoever knows the address of a heartbeat can report in the name of its job, and whoever knows a
# link that acknowledges can do so in the name of its receiver.
_HIDDEN_BELOW: Final = ("/hb/", "/ack/")


class RequestLogMiddleware:
    """Binds the context of a request, answers with its id, and logs it when it is over.

    Stands first, so that the lines and audit rows of all other middlewares name the request. The
    line has no query string: that is where tokens and addresses of people travel.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._trusted_hops: int = settings.OPS_TRUSTED_PROXIES

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        began = time.perf_counter()
        meta = request.META
        carried = tracing.from_headers(
            {
                tracing.REQUEST_ID_HEADER: meta.get("HTTP_X_REQUEST_ID"),
                tracing.TRACEPARENT_HEADER: meta.get("HTTP_TRACEPARENT"),
            }
        )
        address = client_address(
            meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), self._trusted_hops
        )
        user_agent = meta.get("HTTP_USER_AGENT", "")[:_LONGEST_USER_AGENT]
        with tracing.bind(carried, address=address, user_agent=user_agent) as context:
            response = self._get_response(request)
            response["X-Request-ID"] = context.request_id
            _name_user(request)
            if response.streaming and not hasattr(response, "file_to_stream"):
                stream = cast("StreamingHttpResponse", response)
                blocks = cast("Iterator[bytes]", stream.streaming_content)
                stream.streaming_content = _within(
                    tracing.current(), request, response, blocks, began
                )
            else:
                _log(request, response, began, _size(response))
            return response


def _within(
    context: tracing.Context,
    request: HttpRequest,
    response: HttpResponseBase,
    blocks: Iterator[bytes],
    began: float,
) -> Iterator[bytes]:
    """Make a stream in the context of its request, and log it when it has ended."""
    size = 0
    with tracing.bind(context):
        try:
            for block in blocks:
                size += len(block)
                yield block
        finally:
            _log(request, response, began, size)


def _log(request: HttpRequest, response: HttpResponseBase, began: float, size: int | None) -> None:
    path = _shown(request.path)
    logger.log(
        logging.DEBUG if path in _QUIET_PATHS else logging.INFO,
        "%s %s %d",
        request.method,
        path,
        response.status_code,
        extra={
            "method": request.method,
            "path": path,
            "status": response.status_code,
            "ms": round((time.perf_counter() - began) * 1000, 1),
            "bytes": size,
            "address": tracing.current().address,
        },
    )


def _shown(path: str) -> str:
    for below in _HIDDEN_BELOW:
        if path.startswith(below):
            return f"{below}{HIDDEN}"
    return path[:_LONGEST_PATH]


def _size(response: HttpResponseBase) -> int | None:
    declared = response.get("Content-Length")
    if declared is not None and declared.isdigit():
        return int(declared)
    return None if response.streaming else len(cast("HttpResponse", response).content)


def _name_user(request: HttpRequest) -> None:
    """Take the console's user over if somebody has looked it up; asking would cost a query."""
    user = vars(request).get("_cached_user")
    if user is not None and user.is_authenticated and not tracing.current().user:
        tracing.amend(user=user.get_username())
