"""The webhook channel: a signed POST of versioned JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from core.http import (
    Failure,
    FetchError,
    InvalidTargetError,
    OutgoingRequest,
    OutgoingResponse,
    RefusedTargetError,
)
from notifications.engine.backoff import parse_retry_after
from notifications.engine.base import Message, Outcome, Verdict, excerpt
from notifications.engine.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    signature_header,
)

BODY_VERSION: Final = 1
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
USER_AGENT: Final = "OpsPlatform-Webhook/1"
# Of an answer only an excerpt is kept.
ANSWER_BYTES: Final = 16 * 1024

_RETRYABLE: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
# These can happen after the receiver has read the whole request.
_AFTER_SENDING: Final = frozenset({Failure.TIMEOUT, Failure.PROTOCOL})
_FAILURES: Final = {
    Failure.DNS: "The receiver's name could not be resolved.",
    Failure.CONNECT: "The connection to the receiver could not be opened.",
    Failure.TLS: "TLS with the receiver failed.",
    Failure.TIMEOUT: "The receiver did not answer in time.",
    Failure.PROTOCOL: "The receiver broke the connection or does not speak HTTP.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """Where to post, and the secrets that sign, the newest first."""

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def render(
    message: Message, *, key: str, config: WebhookConfig, timestamp: int, timeout_seconds: float
) -> OutgoingRequest:
    """Build the request; all attempts of one key have the same body."""
    body = orjson.dumps(
        {
            "version": BODY_VERSION,
            "id": key,
            "reason": message.reason,
            "event": {
                "kind": message.kind,
                "severity": message.severity,
                "status": message.status,
                "service": message.service,
                "title": message.title,
                "body": message.body,
                "labels": dict(message.labels),
                "links": dict(message.links),
                "dedup_key": message.dedup_key,
                "sequence": message.seq,
                "occurred_at": message.occurred_at,
            },
            "note": message.note,
            "thread": {
                "key": message.thread,
                "firing": message.firing,
                "resolved": message.resolved,
                "alerts": [dict(alert) for alert in message.alerts],
            },
        }
    )
    return OutgoingRequest(
        url=config.url,
        method="POST",
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
            IDEMPOTENCY_HEADER: key,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: signature_header(
                secrets=config.secrets, timestamp=timestamp, body=body
            ),
        },
        body=body,
        timeout_seconds=timeout_seconds,
        max_body_bytes=ANSWER_BYTES,
    )


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the receiver's answer; its text is kept only when it refused."""
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(verdict=Verdict.DELIVERED, status_code=status)
    retryable = status in _RETRYABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Outcome(
        verdict=Verdict.RETRY if retryable else Verdict.REFUSED,
        error_class=f"http_{status}",
        detail=_explain(status),
        status_code=status,
        retry_after_seconds=(
            parse_retry_after(response.headers.get("Retry-After"), now=now) if retryable else None
        ),
        excerpt=excerpt(response.body, secrets),
        gone=status == HTTPStatus.GONE,
    )


def classify_error(
    error: FetchError | InvalidTargetError | RefusedTargetError, *, secrets: Sequence[str]
) -> Outcome:
    """Judge why no answer came; what the platform itself refuses will not pass later either."""
    if isinstance(error, FetchError):
        return Outcome(
            verdict=Verdict.RETRY,
            uncertain=error.failure in _AFTER_SENDING,
            error_class=str(error.failure),
            detail=_FAILURES[error.failure],
            excerpt=excerpt(error.detail.encode("utf-8", "replace"), secrets),
        )
    return Outcome(
        verdict=Verdict.REFUSED,
        error_class=error.code.replace("-", "_"),
        detail=error.message,
        local=True,
    )


def _explain(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The receiver answered {status}; redirects are not followed, set the final URL."
    if status == HTTPStatus.GONE:
        return "The receiver answered 410: it wants no more messages."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"The receiver answered {status}: it does not accept the URL or the signature."
    return f"The receiver answered {status}."


def active_secrets(config: Mapping[str, object], *, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign now: the current one, and for a while the one before it."""
    secrets = [str(config["secret"])]
    previous = config.get("previous")
    if isinstance(previous, Mapping) and datetime.fromisoformat(str(previous["until"])) > now:
        secrets.append(str(previous["secret"]))
    return tuple(secrets)


def known_secrets(config: WebhookConfig) -> tuple[str, ...]:
    """Return what must never show in an error: the URL often holds a token."""
    parts = urlsplit(config.url)
    # A segment without a digit is a word, and hiding words would spoil what errors say.
    segments = [part for part in parts.path.split("/") if any(map(str.isdigit, part))]
    values = [value for _, value in parse_qsl(parts.query)]
    return (*config.secrets, config.url, parts.path, parts.query, *segments, *values)
