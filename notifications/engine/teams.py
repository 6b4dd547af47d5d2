"""Microsoft Teams: an adaptive card for a workflow that takes webhook requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from notifications.engine import answers, wording
from notifications.engine.errands import post

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.http import OutgoingRequest, OutgoingResponse
    from notifications.engine.base import Outcome
    from notifications.engine.errands import Errand

# Teams takes 28 KB; its own envelope around the card needs some of it.
CARD_BYTES: Final = 25_000
_STYLES: Final = {"critical": "attention", "warning": "warning", "resolved": "good"}
_NEUTRAL: Final = "accent"
# Older clients show no more.
_MOST_BUTTONS: Final = 6
_RUN_HEADER: Final = "x-ms-workflow-run-id"


def render(errand: Errand) -> OutgoingRequest:
    """Build the request, with as much text as the card may hold."""
    text = wording.fit(errand.text(), limit=CARD_BYTES, measure=wording.utf8)
    body = _body(errand, text)
    if _size(body) > CARD_BYTES:
        # Each line brings an object of its own: how much text fits is found by trying.
        fits, beyond = 0, len(text)
        while beyond - fits > 1:
            middle = (fits + beyond) // 2
            if _size(_body(errand, text[:middle] + wording.ELLIPSIS)) <= CARD_BYTES:
                fits = middle
            else:
                beyond = middle
        body = _body(errand, text[:fits] + wording.ELLIPSIS)
    return post(errand, errand.setting("url"), body)


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the answer: 202 says that the workflow has begun; whether it posts is never told."""
    told = answers.members(response)
    if answers.is_success(response):
        run = response.headers.get(_RUN_HEADER, "")
        return answers.delivered(response, f"run {run}" if run else "accepted", secrets)
    error = told.get("error")
    known = error if isinstance(error, dict) else {}
    words = f"{known.get('code', '')}: {known.get('message', '')}".strip(": ")
    advice = ""
    if response.status in {401, 403}:
        advice = "Copy the workflow's URL again; anyone must be allowed to trigger it."
    elif response.status in {400, 404}:
        advice = "Check that the workflow exists and is switched on."
    return answers.failed("Teams", response, secrets=secrets, now=now, words=words, advice=advice)


def _size(body: dict[str, object]) -> int:
    return len(orjson.dumps(body))


def _body(errand: Errand, text: str) -> dict[str, object]:
    message = errand.message
    heading = {
        "type": "Container",
        "style": _STYLES.get(wording.standing(message), _NEUTRAL),
        "bleed": True,
        "items": [
            _line(wording.headline(message, limit=300), weight="Bolder", size="Medium"),
        ],
    }
    lines = [_line(line) for line in text.split("\n") if line.strip()]
    card: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [heading, *lines],
    }
    if linked := wording.links(message)[-_MOST_BUTTONS:]:
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": name, "url": url} for name, url in linked
        ]
    return {
        "type": "message",
        "summary": wording.headline(message, limit=200),
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }


def _line(text: str, **looks: str) -> dict[str, object]:
    """Return a line as a run of text: unlike a text block, it reads no Markdown."""
    return {
        "type": "RichTextBlock",
        "inlines": [{"type": "TextRun", "text": text, **looks}],
    }
