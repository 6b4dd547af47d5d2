"""Slack: a message by an incoming webhook, or by a bot through chat.postMessage."""

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

SECTION_CHARACTERS: Final = 3_000
_COLOURS: Final = {
    "critical": "#b5123b",
    "warning": "#d97706",
    "resolved": "#13713a",
    "acknowledged": "#6b7280",
}
_BETWEEN: Final = "  |  "
_NEUTRAL: Final = "#1d4ed8"
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# What chat.postMessage says with status 200 when trying again may help.
_PASSING: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "service_unavailable",
    }
)
_ADVICE: Final = {
    "account_inactive": "The bot was removed; make a new token.",
    "action_prohibited": "An administrator of Slack does not allow it.",
    "channel_is_archived": "The Slack channel is archived.",
    "channel_not_found": "Check the channel's ID; a private channel must have the bot as a member.",
    "invalid_auth": "Check the bot token.",
    "is_archived": "The Slack channel is archived.",
    "missing_scope": "Give the bot the scope chat:write and install it again.",
    "no_service": "The webhook was removed or switched off in Slack; make another one.",
    "not_authed": "Check the bot token.",
    "not_in_channel": "Invite the bot to the Slack channel.",
    "posting_to_general_channel_denied": "This webhook may not post to the general channel.",
    "team_disabled": "The Slack workspace is disabled.",
    "token_expired": "Make a new bot token.",
    "token_revoked": "Make a new bot token.",
}


def render(errand: Errand) -> OutgoingRequest:
    """Build the request; the text is escaped, so no alert can call a whole channel."""
    message = errand.message
    title = escape(wording.headline(message, limit=300))
    url = wording.main_link(message)
    tail = f" <{url}|The rest>" if url else ""
    text = wording.fit(errand.text(), limit=SECTION_CHARACTERS, escape=escape, tail=tail)
    blocks: list[object] = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    linked = wording.links_within(message, limit=SECTION_CHARACTERS, size=_size)
    if places := _BETWEEN.join(_place(name, url) for name, url in linked):
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": places}})
    body: dict[str, object] = {
        "text": title,
        "attachments": [
            {
                "color": _COLOURS.get(wording.standing(message), _NEUTRAL),
                "fallback": title,
                "blocks": blocks,
            }
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }
    token = errand.setting("token")
    if not token:
        return post(errand, errand.setting("url"), body)
    body["channel"] = errand.recipient or errand.setting("channel")
    return post(errand, f"{errand.base}/chat.postMessage", body, bearer=token)


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the answer by its body: chat.postMessage says "no" with status 200."""
    told = answers.members(response)
    if answers.is_success(response):
        if told.get("ok") is True:
            return answers.delivered(response, f"message {told.get('ts', '')}", secrets)
        if response.body.strip() == b"ok":
            return answers.delivered(response, "ok", secrets)
        if told.get("ok") is not False:
            return answers.nonsense("Slack", response, secrets)
    error = told.get("error")
    words = error if isinstance(error, str) else _line(response.body)
    refused = answers.is_success(response)
    return answers.failed(
        "Slack",
        response,
        secrets=secrets,
        now=now,
        words=words,
        advice=_ADVICE.get(words, ""),
        passing=words in _PASSING if refused else None,
        gone=response.status == 410,  # noqa: PLR2004  # Gone
    )


def escape(text: str) -> str:
    """Return text in which Slack finds no link, mention or command."""
    return text.translate(_ESCAPES)


def _place(name: str, url: str) -> str:
    return f"<{url}|{escape(name)}>"


def _size(name: str, url: str) -> int:
    return len(_place(name, url)) + len(_BETWEEN)


def _line(body: bytes) -> str:
    """Return the word that a webhook answers; a page of HTML is none."""
    text = body.decode("utf-8", "replace").strip()
    return text if text.isprintable() and "<" not in text else ""
