"""Discord: an embed by a webhook of the channel."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from yarl import URL

from notifications.engine import answers, wording
from notifications.engine.errands import post

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.http import OutgoingRequest, OutgoingResponse
    from notifications.engine.base import Outcome
    from notifications.engine.errands import Errand

TITLE_CHARACTERS: Final = 256
TEXT_CHARACTERS: Final = 4_096
# The rest is for what happened.
LINKS_CHARACTERS: Final = 1_500
_COLOURS: Final = {
    "critical": 0xB5123B,
    "warning": 0xD97706,
    "resolved": 0x13713A,
    "acknowledged": 0x6B7280,
}
_NEUTRAL: Final = 0x1D4ED8
_MARKUP: Final = re.compile(r"([\\*_~`|\[\]()<>#@:-])")
_BETWEEN: Final = " | "
_UNKNOWN_WEBHOOK: Final = 10_015


def render(errand: Errand) -> OutgoingRequest:
    """Build the request; it waits for the message, whose number is the proof."""
    message = errand.message
    linked = wording.links_within(message, limit=LINKS_CHARACTERS, size=_size)
    places = _BETWEEN.join(_place(name, url) for name, url in linked)
    url = wording.main_link(message)
    tail = f" [The rest](<{url}>)" if url else ""
    room = TEXT_CHARACTERS - wording.utf16(places) - 2
    text = wording.fit(errand.text(), limit=room, measure=wording.utf16, escape=escape, tail=tail)
    embed: dict[str, object] = {
        "title": wording.fit(
            wording.headline(message, limit=TITLE_CHARACTERS),
            limit=TITLE_CHARACTERS,
            measure=wording.utf16,
            escape=escape,
        ),
        "description": f"{text}\n\n{places}" if places else text,
        "color": _COLOURS.get(wording.standing(message), _NEUTRAL),
    }
    if url:
        embed["url"] = url
    body: dict[str, object] = {
        "embeds": [embed],
        # An alert that quotes "@everyone" calls nobody.
        "allowed_mentions": {"parse": []},
    }
    return post(errand, str(URL(errand.setting("url")).update_query(wait="true")), body)


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the answer; a webhook that is gone must not be asked again, or Discord bars us."""
    told = answers.members(response)
    if answers.is_success(response):
        if response.status == HTTPStatus.NO_CONTENT:
            return answers.delivered(response, "accepted", secrets)
        if not isinstance(told.get("id"), str):
            return answers.nonsense("Discord", response, secrets)
        return answers.delivered(response, f"message {told['id']}", secrets)
    gone = response.status == HTTPStatus.GONE or told.get("code") == _UNKNOWN_WEBHOOK
    words = told.get("message")
    return answers.failed(
        "Discord",
        response,
        secrets=secrets,
        now=now,
        words=words if isinstance(words, str) else "",
        advice=(
            "Make another webhook in the channel's settings."
            if gone
            else "Check the webhook URL."
            if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}
            else ""
        ),
        wait_seconds=told.get("retry_after"),
        gone=gone,
    )


def _place(name: str, url: str) -> str:
    return f"[{escape(name)}](<{url}>)"


def _size(name: str, url: str) -> int:
    return wording.utf16(_place(name, url)) + len(_BETWEEN)


def escape(text: str) -> str:
    """Return text in which Discord finds no markup and no mention."""
    return _MARKUP.sub(r"\\\1", text)
