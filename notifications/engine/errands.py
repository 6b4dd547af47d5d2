"""Errands: one message on its way to one receiver, and the request that most kinds make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from core.http import OutgoingRequest
from notifications.engine import wording
from notifications.engine.kinds import KINDS, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from notifications.engine.base import Message

USER_AGENT: Final = "OpsPlatform-Notifications/1"
# Of an answer only an excerpt is kept.
ANSWER_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A message, whom it is for, and the private settings of the channel that takes it there.

    `recipient` is a person's own address; empty for the channel's own. `base` is where the
    provider's interface is, of providers with one for everybody.
    """

    message: Message
    key: str
    config: Mapping[str, Any] = field(repr=False)
    recipient: str = ""
    template: str = ""
    base: str = ""
    uncertain: bool = False
    timeout_seconds: float = 10.0

    def text(self) -> str:
        """Return the text below the headline, not yet escaped or cut."""
        return wording.text_of(self.message, template=self.template, uncertain=self.uncertain)

    def setting(self, name: str) -> str:
        """Return a private setting; empty if the channel has none of this name."""
        value = self.config.get(name, "")
        return value if isinstance(value, str) else ""


def post(
    errand: Errand, url: str, body: Mapping[str, object], *, bearer: str = ""
) -> OutgoingRequest:
    """Return a POST of JSON; the key lets a kept connection that broke be tried anew."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": USER_AGENT,
        "Idempotency-Key": errand.key,
    }
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    return OutgoingRequest(
        url=url,
        method="POST",
        headers=headers,
        body=orjson.dumps(body),
        timeout_seconds=errand.timeout_seconds,
        max_body_bytes=ANSWER_BYTES,
    )


def secrets_of(kind: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of the private settings must never show in an error."""
    found: list[str] = []
    for entry in KINDS[kind].fields:
        value = config.get(entry.name)
        if not isinstance(value, str) or not value:
            continue
        if entry.shape is Shape.URL:
            found += secrets_of_url(value)
        elif entry.is_secret:
            found.append(value)
    return tuple(found)


def secrets_of_url(url: str) -> Iterable[str]:
    """Return the parts of a URL that may be its token."""
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    names = [found for part in (user, password) for found in (part, unquote(part))]
    # A segment without a digit is a word, and hiding words would spoil what errors say.
    segments = [part for part in parts.path.split("/") if any(map(str.isdigit, part))]
    values = [value for _, value in parse_qsl(parts.query)]
    path = parts.path if parts.path.strip("/") else ""
    return [part for part in (url, path, parts.query, *segments, *values, *names) if part]
