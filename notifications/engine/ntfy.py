"""ntfy: a push message, published as JSON at the root of the server."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from notifications.engine import answers, wording
from notifications.engine.base import ACKNOWLEDGE
from notifications.engine.errands import post

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.http import OutgoingRequest, OutgoingResponse
    from notifications.engine.base import Outcome
    from notifications.engine.errands import Errand

# A longer message becomes a file, and the whole JSON may have twice as much.
TEXT_BYTES: Final = 4_096
BODY_BYTES: Final = 2 * TEXT_BYTES
LINKS_BYTES: Final = 2_500
# Newer servers refuse a title of more than 1,024 bytes.
TITLE_CHARACTERS: Final = 200
_MOST_ACTIONS: Final = 3
_PRIORITIES: Final = {"critical": 5, "warning": 4, "test": 3, "info": 3}
_QUIET: Final = 2
_TAGS: Final = {
    "critical": "rotating_light",
    "warning": "warning",
    "resolved": "white_check_mark",
    "acknowledged": "eyes",
}


def render(errand: Errand) -> OutgoingRequest:
    """Build the request; the text is cut until text and whole are short enough."""
    limit = TEXT_BYTES
    request = _request(errand, limit)
    while len(request.body or b"") > BODY_BYTES and limit > 1:
        limit //= 2
        request = _request(errand, limit)
    return request


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the answer: the message's ID is the proof."""
    told = answers.members(response)
    if answers.is_success(response):
        if not (told.get("event") == "message" and isinstance(told.get("id"), str)):
            return answers.nonsense("ntfy", response, secrets)
        return answers.delivered(response, f"message {told['id']}", secrets)
    words = told.get("error")
    refused = response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return answers.failed(
        "ntfy",
        response,
        secrets=secrets,
        now=now,
        words=words if isinstance(words, str) else "",
        advice="The topic is protected; enter a token that may publish to it." if refused else "",
    )


def _size(name: str, url: str) -> int:
    return wording.utf8(name) + wording.utf8(url)


def _request(errand: Errand, limit: int) -> OutgoingRequest:
    message = errand.message
    stands = wording.standing(message)
    body: dict[str, object] = {
        "topic": errand.recipient or errand.setting("topic"),
        "title": wording.headline(message, limit=TITLE_CHARACTERS),
        "message": wording.fit(errand.text(), limit=limit, measure=wording.utf8),
        "priority": _PRIORITIES.get(stands, _QUIET),
        "tags": [_TAGS.get(stands, "information_source")],
    }
    if url := wording.main_link(message):
        body["click"] = url
    linked = wording.links_within(message, limit=LINKS_BYTES, size=_size)
    # Acknowledgement stands last, and must not be the one left out.
    chosen = [*linked[: _MOST_ACTIONS - 1], linked[-1]] if len(linked) > _MOST_ACTIONS else linked
    if chosen:
        body["actions"] = [
            {"action": "view", "label": name, "url": url, "clear": name == ACKNOWLEDGE}
            for name, url in chosen
        ]
    server = errand.setting("server").rstrip("/")
    return post(errand, f"{server}/", body, bearer=errand.setting("token"))
