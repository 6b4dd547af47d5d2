"""What every kind of channel speaks: a message goes in, an outcome comes out."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final, Self

from core.masking import HIDDEN, clip, mask

PAYLOAD_VERSION: Final = 1
EXCERPT_CHARACTERS: Final = 1024
# A message names this many alerts; how many there are stands in its counts.
MOST_ALERTS: Final = 50
# The link of this name acknowledges; channels with buttons make one of it.
ACKNOWLEDGE: Final = "Acknowledge"
# Shorter values would blank ordinary words out of an error message.
SHORTEST_SECRET: Final = 6

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_WHITESPACE = re.compile(r"\s+")


class Verdict(StrEnum):
    """What an attempt means for the message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended.

    `uncertain`: no answer came, yet the message may have arrived. `local`: nothing left the
    machine, so the receiver's health is unknown. `gone`: the receiver wants no further calls.
    """

    verdict: Verdict
    error_class: str = ""
    detail: str = ""
    status_code: int | None = None
    retry_after_seconds: float | None = None
    excerpt: str = ""
    provider_ref: str = ""
    uncertain: bool = False
    local: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel tells people, as it was when the alert was routed.

    A message may tell of many alerts of one `thread`: each of `alerts` has the texts `title`,
    `severity`, `status`, `service`, `since` and `url`, the newest first and at most MOST_ALERTS;
    `firing` and `resolved` count all of them. `note` says what the title cannot: why it comes again
    or how long it lasted. Without `alerts` it tells of one alert alone.
    """

    kind: str
    severity: str
    status: str
    title: str
    body: str
    service: str
    labels: Mapping[str, str]
    links: Mapping[str, str]
    dedup_key: str
    seq: int
    occurred_at: str
    reason: str
    thread: str = ""
    alerts: Sequence[Mapping[str, str]] = ()
    firing: int = 0
    resolved: int = 0
    note: str = ""

    def to_payload(self) -> dict[str, object]:
        """Return the versioned snapshot that the outbox stores."""
        # Lists, as they come back from the database.
        alerts = [dict(alert) for alert in self.alerts[:MOST_ALERTS]]
        plain = {name: getattr(self, name) for name in _FIELDS}
        texts = {"labels": dict(self.labels), "links": dict(self.links), "alerts": alerts}
        return {"version": PAYLOAD_VERSION, **plain, **texts}

    @classmethod
    def from_payload(cls, payload: Mapping[str, object]) -> Self:
        """Read a stored snapshot; a missing field reads as empty."""
        return cls(
            kind=_text(payload, "kind"),
            severity=_text(payload, "severity"),
            status=_text(payload, "status"),
            title=_text(payload, "title"),
            body=_text(payload, "body"),
            service=_text(payload, "service"),
            labels=_texts(payload, "labels"),
            links=_texts(payload, "links"),
            dedup_key=_text(payload, "dedup_key"),
            seq=_integer(payload, "seq"),
            occurred_at=_text(payload, "occurred_at"),
            reason=_text(payload, "reason"),
            thread=_text(payload, "thread"),
            alerts=_alerts(payload),
            firing=_integer(payload, "firing"),
            resolved=_integer(payload, "resolved"),
            note=_text(payload, "note"),
        )


_FIELDS: Final = tuple(field.name for field in fields(Message))


def idempotency_key(*parts: str | int) -> str:
    """Derive the key of a message from what makes it itself.

    It is a digest because the parts may be long or hold characters that no header can carry, and
    because it must not tell one receiver of another.
    """
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:40]


def storable(text: str, *, limit: int) -> str:
    """Return text that every database and channel can hold, cut at `limit`.

    Alerts quote what strangers send: NUL and lone surrogates would fail the INSERT and, with it,
    the transaction that raises the alert.
    """
    valid = text.encode("utf-8", "replace").decode("utf-8")
    lines = valid.replace("\r\n", "\n").replace("\r", "\n")
    return clip(_CONTROL.sub(" ", lines), limit)


def single_line(text: str, *, limit: int) -> str:
    """Return the text on one line, so that it can stand in a header."""
    return clip(_WHITESPACE.sub(" ", _CONTROL.sub(" ", text)).strip(), limit)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Hide every known secret in the text, the longest first, and what looks like one."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return mask(text)


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """Return the beginning of an answer, readable and without secrets."""
    # The margin lets a secret that crosses the cut still be recognised.
    margin = EXCERPT_CHARACTERS * 4
    readable = storable(body[:margin].decode("utf-8", "replace"), limit=margin)
    return clip(scrub(readable, secrets).strip(), EXCERPT_CHARACTERS)


def _text(payload: Mapping[str, object], name: str) -> str:
    value = payload.get(name)
    return _whole(value) if isinstance(value, str) else ""


def _integer(payload: Mapping[str, object], name: str) -> int:
    value = payload.get(name)
    return value if isinstance(value, int) else 0


def _texts(payload: Mapping[str, object], name: str) -> dict[str, str]:
    value = payload.get(name)
    return _plain(value) if isinstance(value, Mapping) else {}


def _alerts(payload: Mapping[str, object]) -> tuple[dict[str, str], ...]:
    value = payload.get("alerts")
    if not isinstance(value, list):
        return ()
    return tuple(_plain(alert) for alert in value[:MOST_ALERTS] if isinstance(alert, Mapping))


def _plain(texts: Mapping[object, object]) -> dict[str, str]:
    return {_whole(str(key)): _whole(str(entry)) for key, entry in texts.items()}


def _whole(text: str) -> str:
    """Return text that can be encoded: half a character would fail every channel."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
