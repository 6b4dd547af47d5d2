"""An HTTP(S) check: ask once, judge the answer."""

from dataclasses import replace
from http import HTTPStatus

import aiohttp
from yarl import URL

from core.connecting import connect, guard_of, shake_hands
from core.http import (
    Certificate,
    FetchError,
    InvalidTargetError,
    OutgoingRequest,
    OutgoingResponse,
    Phases,
    RefusedTargetError,
    fetch,
)
from core.http_timing import Stopwatch
from reliability.engine.assertions import Answer, unmet
from reliability.engine.probes.base import EXCERPT_BYTES, TLS_PORT, Failure, Finding, Target
from reliability.engine.probes.sockets import timed

MAX_REDIRECTS = 3
# A certificate that is no good is looked at once more, to tell until when it held.
LOOK_SECONDS = 5.0


async def ask(client: aiohttp.ClientSession, target: Target) -> Finding:
    """Ask the target once."""
    request = OutgoingRequest(
        url=target.url,
        method=target.method,
        headers=target.headers,
        body=target.body.encode() if target.body else None,
        timeout_seconds=target.rules.timeout_seconds,
        max_redirects=MAX_REDIRECTS if target.follow_redirects else 0,
        verify_tls=target.verify_tls,
        family=target.address_family,
    )
    try:
        answer = await fetch(client, request)
    except FetchError as error:
        return Finding(
            error.phases,
            Failure(error.failure),
            error.detail,
            error.excerpt,
            certificate=await _untrusted(client, target) if error.is_untrusted else None,
            is_definite=error.is_definite,
        )
    except (InvalidTargetError, RefusedTargetError) as error:
        return Finding(Phases(), Failure.REFUSED, error.message)
    return _judge(target, answer)


def _judge(target: Target, answer: OutgoingResponse) -> Finding:
    found = Finding(answer.phases, status_code=answer.status, certificate=answer.certificate)
    failure, detail = None, ""
    if not any(first <= answer.status <= last for first, last in target.accept):
        failure, detail = Failure.STATUS, f"HTTP {answer.status} {_phrase(answer.status)}".strip()
    elif target.body_contains and target.body_contains.encode() not in answer.body:
        failure, detail = Failure.BODY, "The expected text is missing."
        if answer.truncated:
            detail = f"The expected text is not in the first {len(answer.body)} bytes."
    elif target.assertions:
        seen = Answer(answer.body, answer.headers, answer.phases.total_ms, answer.truncated)
        detail = unmet(target.assertions, seen)
        failure = Failure.ASSERTION if detail else None
    if failure is None:
        return found
    excerpt = answer.body[:EXCERPT_BYTES].decode(errors="replace")
    return replace(found, failure=failure, detail=detail, excerpt=excerpt)


async def _untrusted(client: aiohttp.ClientSession, target: Target) -> Certificate | None:
    """Return the certificate that was not accepted: a handshake alone, nothing is sent."""
    url = URL(target.url)
    if url.scheme != "https":
        # A redirect led to it.
        return None
    host, port = url.raw_host or "", url.port or TLS_PORT

    async def look(watch: Stopwatch) -> Finding:
        family = target.address_family
        connected = await connect(guard_of(client), host, port, family=family, watch=watch)
        shown = await shake_hands(connected, host, verify=False, watch=watch)
        return Finding(watch.phases(), certificate=shown)

    seconds = min(LOOK_SECONDS, target.rules.timeout_seconds)
    return (await timed(look, seconds=seconds)).certificate


def _phrase(status: int) -> str:
    """Name a status in the words of the standard: the server's own may be anything."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
