"""What every provider's answer has in common: its status, its words, and how long to wait."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from notifications.engine.backoff import LONGEST_RETRY_AFTER_SECONDS, parse_retry_after
from notifications.engine.base import Outcome, Verdict, excerpt, scrub, single_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from core.http import OutgoingResponse

REFERENCE_CHARACTERS: Final = 200
_WORDS_CHARACTERS: Final = 160
_RETRYABLE: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


def is_success(response: OutgoingResponse) -> bool:
    """Tell whether the status is one of success; what the body says is another matter."""
    return HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES


def is_passing(status: int) -> bool:
    """Tell whether the same request may succeed later."""
    return status in _RETRYABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def members(response: OutgoingResponse) -> Mapping[str, Any]:
    """Return the object that the answer holds; empty if it holds none."""
    try:
        value = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def delivered(response: OutgoingResponse, reference: str, secrets: Iterable[str]) -> Outcome:
    """Return success, with what the provider calls the message."""
    return Outcome(
        verdict=Verdict.DELIVERED,
        status_code=response.status,
        provider_ref=single_line(scrub(reference, secrets), limit=REFERENCE_CHARACTERS),
    )


def failed(
    provider: str,
    response: OutgoingResponse,
    *,
    secrets: Iterable[str],
    now: datetime,
    words: str = "",
    advice: str = "",
    passing: bool | None = None,
    wait_seconds: object = None,
    gone: bool = False,
) -> Outcome:
    """Return failure, in the provider's `words` and with our advice.

    `wait_seconds` is the wait that the body asks for; it goes before the header, which knows whole
    seconds only.
    """
    status = response.status
    may_pass = is_passing(status) if passing is None else passing
    said = single_line(scrub(words, secrets), limit=_WORDS_CHARACTERS)
    detail = f"{provider} answered {status}: {said}" if said else f"{provider} answered {status}"
    detail = detail if detail.endswith((".", "!", "?")) else f"{detail}."
    return Outcome(
        verdict=Verdict.RETRY if may_pass else Verdict.REFUSED,
        error_class=f"http_{status}",
        detail=f"{detail} {advice}".strip(),
        status_code=status,
        retry_after_seconds=_wait(wait_seconds, response, now) if may_pass else None,
        excerpt=excerpt(response.body, secrets),
        gone=gone,
    )


def nonsense(provider: str, response: OutgoingResponse, secrets: Iterable[str]) -> Outcome:
    """Return that the status says yes but the provider's own proof is missing.

    It may have arrived or not. It is tried again, and a channel that goes on like this is paused.
    """
    return Outcome(
        verdict=Verdict.RETRY,
        error_class="no_proof",
        detail=f"The answer {response.status} is not one that {provider} gives; check the address.",
        status_code=response.status,
        excerpt=excerpt(response.body, secrets),
        uncertain=True,
    )


def _wait(asked: object, response: OutgoingResponse, now: datetime) -> float | None:
    if isinstance(asked, int | float) and not isinstance(asked, bool) and asked > 0:
        return float(min(asked, LONGEST_RETRY_AFTER_SECONDS))
    return parse_retry_after(response.headers.get("Retry-After"), now=now)
