"""Telegram: a message from a bot, whose token stands in the URL of every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from notifications.engine import answers, wording
from notifications.engine.errands import post

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.http import OutgoingRequest, OutgoingResponse
    from notifications.engine.base import Outcome
    from notifications.engine.errands import Errand

TEXT_CHARACTERS: Final = 4_096
# Of links only the names count; the rest is for what happened.
NAMES_CHARACTERS: Final = 1_000
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def render(errand: Errand) -> OutgoingRequest:
    """Build the request.

    Links stand in the text: a button whose address is not public would make Telegram refuse the
    whole message.
    """
    message = errand.message
    title = wording.headline(message, limit=300)
    linked = wording.links_within(message, limit=NAMES_CHARACTERS, size=_size)
    names = " | ".join(name for name, _ in linked)
    # Counted before escaping, as Telegram counts; what surrounds the text is counted generously.
    room = TEXT_CHARACTERS - wording.utf16(title) - wording.utf16(names) - 10
    text = wording.fit(errand.text(), limit=room, measure=wording.utf16)
    parts = [f"<b>{escape(title)}</b>", escape(text)]
    places = " | ".join(f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in linked)
    if places:
        parts.append(places)
    body: dict[str, object] = {
        "chat_id": errand.recipient or errand.setting("chat_id"),
        "text": "\n\n".join(parts),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        # What is over, or only news, makes no sound at night.
        "disable_notification": message.status != "firing" and message.reason != "test",
    }
    topic = errand.setting("topic")
    if topic and not errand.recipient:
        body["message_thread_id"] = int(topic)
    return post(errand, f"{errand.base}/bot{errand.setting('token')}/sendMessage", body)


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the answer: `ok` is the proof, and the wait stands in the body."""
    told = answers.members(response)
    if answers.is_success(response):
        if told.get("ok") is not True:
            return answers.nonsense("Telegram", response, secrets)
        result = told.get("result")
        number = result.get("message_id", "") if isinstance(result, dict) else ""
        return answers.delivered(response, f"message {number}", secrets)
    parameters = told.get("parameters")
    asked = parameters if isinstance(parameters, dict) else {}
    words = told.get("description")
    return answers.failed(
        "Telegram",
        response,
        secrets=secrets,
        now=now,
        words=words if isinstance(words, str) else "",
        advice=_advice(response.status, words, asked),
        wait_seconds=asked.get("retry_after"),
    )


def _size(name: str, _url: str) -> int:
    return wording.utf16(name) + len(" | ")


def escape(text: str) -> str:
    """Return text in which Telegram finds no markup."""
    return text.translate(_ESCAPES)


def _advice(status: int, words: object, asked: dict[str, object]) -> str:
    if moved := asked.get("migrate_to_chat_id"):
        return f"The group has become a supergroup; its chat ID is now {moved}."
    if status in {401, 404}:
        return "Check the bot token."
    if "chat not found" in str(words):
        return "Check the chat ID; a person must have written to the bot first."
    if status == 403:  # noqa: PLR2004  # Forbidden
        return "Unblock the bot, or add it to the group again."
    return ""
