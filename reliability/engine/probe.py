"""One HTTP check: ask once, judge the answer."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import aiohttp
from yarl import URL

from core.http import (
    FetchError,
    InvalidTargetError,
    OutgoingRequest,
    OutgoingResponse,
    Phases,
    RefusedTargetError,
    fetch,
)
from reliability.engine.strikes import Rules

MAX_REDIRECTS = 3
# Twice what is kept: secrets are masked first, and one must not be cut in two before that.
EXCERPT_BYTES = 8192
DETAIL_CHARACTERS = 200

StatusRanges = tuple[tuple[int, int], ...]

_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


class Failure(enum.StrEnum):
    """Why a check failed; the first five are those of the exchange itself.

    MISSED, REPORTED and OVERRUN are of heartbeats. SETUP means that this machine cannot ask: it
    says nothing about the target.
    """

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    REFUSED = "refused"
    STATUS = "status"
    BODY = "body"
    ASSERTION = "assertion"
    RECORD = "record"
    EXPIRY = "expiry"
    MISSED = "missed"
    REPORTED = "reported"
    OVERRUN = "overrun"
    SETUP = "setup"


@dataclass(frozen=True, slots=True)
class Target:
    """What the engine needs to know about one check."""

    check_id: int
    config_version: int
    url: str
    rules: Rules
    retry_seconds: float
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    accept: StatusRanges = ((200, 399),)
    body_contains: str = ""
    follow_redirects: bool = True
    verify_tls: bool = True

    @property
    def host(self) -> str:
        """The host that must not be asked by too many checks at once."""
        return URL(self.url).raw_host or ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found.

    Everybody who sees the check reads `detail`, so nothing of the answer stands there. `excerpt`
    holds what a failed probe was answered: the begin of the body, or of what is not HTTP.
    """

    check_id: int
    at: datetime
    ok: bool
    latency_ms: float
    phases: Phases
    status_code: int | None = None
    failure: Failure | None = None
    detail: str = ""
    excerpt: str = ""


def parse_accept(text: str) -> StatusRanges:
    """Read accepted status codes such as `200-399` or `200, 204, 301-302`."""
    ranges = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            message = f"{part.strip()!r} is no status code and no range such as 200-399."
            raise ValueError(message)
        ranges.append((first, last))
    return tuple(ranges)


async def probe(client: aiohttp.ClientSession, target: Target, *, at: datetime) -> Result:
    """Ask the target once; whatever happens to the request is a result, not an error."""
    request = OutgoingRequest(
        url=target.url,
        method=target.method,
        headers=target.headers,
        timeout_seconds=target.rules.timeout_seconds,
        max_redirects=MAX_REDIRECTS if target.follow_redirects else 0,
        verify_tls=target.verify_tls,
    )
    try:
        answer = await fetch(client, request)
    except FetchError as error:
        return _failed(
            target, at, Failure(error.failure), error.detail, error.phases, excerpt=error.excerpt
        )
    except (InvalidTargetError, RefusedTargetError) as error:
        return _failed(target, at, Failure.REFUSED, error.message, Phases())
    return _judge(target, at, answer)


def _judge(target: Target, at: datetime, answer: OutgoingResponse) -> Result:
    failure, detail = None, ""
    if not any(first <= answer.status <= last for first, last in target.accept):
        failure, detail = Failure.STATUS, f"HTTP {answer.status} {_phrase(answer.status)}".strip()
    elif target.body_contains and target.body_contains.encode() not in answer.body:
        failure, detail = Failure.BODY, "The expected text is missing."
        if answer.truncated:
            detail = f"The expected text is not in the first {len(answer.body)} bytes."
    return Result(
        check_id=target.check_id,
        at=at,
        ok=failure is None,
        latency_ms=answer.phases.total_ms,
        phases=answer.phases,
        status_code=answer.status,
        failure=failure,
        detail=_storable(detail)[:DETAIL_CHARACTERS],
        excerpt="" if failure is None else _storable(_excerpt(answer)),
    )


def _phrase(status: int) -> str:
    """Name a status in the words of the standard: the server's own may be anything."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _failed(
    target: Target,
    at: datetime,
    failure: Failure,
    detail: str,
    phases: Phases,
    *,
    excerpt: str = "",
) -> Result:
    return Result(
        check_id=target.check_id,
        at=at,
        ok=False,
        latency_ms=phases.total_ms,
        phases=phases,
        failure=failure,
        detail=_storable(detail)[:DETAIL_CHARACTERS],
        excerpt=_storable(excerpt),
    )


def _excerpt(answer: OutgoingResponse) -> str:
    return answer.body[:EXCERPT_BYTES].decode(errors="replace")


def _storable(text: str) -> str:
    """Replace what no database stores: a server may send anything."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
