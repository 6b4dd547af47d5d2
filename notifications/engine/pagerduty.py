"""PagerDuty, Events API v2: one alert for each thread of messages, told to open and to close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.masking import clip
from notifications.engine import answers, wording
from notifications.engine.errands import post

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.http import OutgoingRequest, OutgoingResponse
    from notifications.engine.base import Message, Outcome
    from notifications.engine.errands import Errand

SUMMARY_CHARACTERS: Final = 1_024
DEDUP_CHARACTERS: Final = 255
# An event may have 512 KB in all; nobody reads so much in an alert.
_DETAIL_CHARACTERS: Final = 10_000
_CLIENT: Final = "OpsPlatform"
_ACTIONS: Final = {"resolved": "resolve", "acknowledged": "acknowledge"}


def render(errand: Errand) -> OutgoingRequest:
    """Build the event; the same key of the alert makes a repeat harmless.

    What only informs becomes a change event, which wakes nobody and needs no resolving.
    """
    message = errand.message
    is_change = message.status == "info" and message.reason != "test"
    body: dict[str, object] = {
        "routing_key": errand.setting("routing_key"),
        "payload": _change(errand) if is_change else _payload(errand),
        "links": [{"href": url, "text": clip(name, 100)} for name, url in wording.links(message)],
    }
    if is_change:
        return post(errand, f"{errand.base}/v2/change/enqueue", body)
    body["event_action"] = _ACTIONS.get(wording.standing(message), "trigger")
    body["dedup_key"] = (message.dedup_key or message.thread)[:DEDUP_CHARACTERS]
    body["client"] = _CLIENT
    if url := wording.main_link(message):
        body["client_url"] = url
    return post(errand, f"{errand.base}/v2/enqueue", body)


def classify(response: OutgoingResponse, *, secrets: Sequence[str], now: datetime) -> Outcome:
    """Judge the answer: 202 with `success` is the proof, and names the key of the alert."""
    told = answers.members(response)
    if answers.is_success(response):
        if told.get("status") != "success":
            return answers.nonsense("PagerDuty", response, secrets)
        said, key = told.get("message", ""), told.get("dedup_key", "")
        return answers.delivered(response, f"{said}, {key}" if key else str(said), secrets)
    errors = told.get("errors")
    reasons = [str(error) for error in errors] if isinstance(errors, list) else []
    words = "; ".join([str(told.get("message", "")), *reasons]).strip("; ")
    advice = "Check the integration key." if response.status in {400, 403} else ""
    return answers.failed(
        "PagerDuty", response, secrets=secrets, now=now, words=words, advice=advice
    )


def _payload(errand: Errand) -> dict[str, object]:
    message = errand.message
    payload: dict[str, object] = {
        "summary": _summary(message),
        # PagerDuty needs one; what is not of a service is the platform's own.
        "source": clip(message.service, 255) or _CLIENT,
        "severity": message.severity,
        "class": message.kind,
        "custom_details": _details(errand),
    }
    if message.service:
        payload["component"] = clip(message.service, 255)
    if message.occurred_at:
        payload["timestamp"] = message.occurred_at
    return payload


def _change(errand: Errand) -> dict[str, object]:
    message = errand.message
    payload: dict[str, object] = {
        "summary": _summary(message),
        "source": clip(message.service, 255) or _CLIENT,
        "custom_details": _details(errand),
    }
    if message.occurred_at:
        payload["timestamp"] = message.occurred_at
    return payload


def _summary(message: Message) -> str:
    return clip(" ".join(message.title.split()), SUMMARY_CHARACTERS) or message.kind or _CLIENT


def _details(errand: Errand) -> dict[str, object]:
    details: dict[str, object] = {"text": clip(errand.text(), _DETAIL_CHARACTERS)}
    if errand.message.labels:
        details["labels"] = dict(errand.message.labels)
    details["reason"] = errand.message.reason
    details["message"] = errand.key
    return details
