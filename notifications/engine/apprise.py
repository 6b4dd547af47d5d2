"""Apprise: many services more, by a library that runs in a process of its own.

It answers only yes or no and makes its requests itself, past our guard. So it gets neither our
environment nor our memory, only services that speak HTTP to their own hosts, and a guard inside.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson

from notifications.engine import wording
from notifications.engine.base import Outcome, Verdict, excerpt, scrub, single_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notifications.engine.errands import Errand

TEXT_CHARACTERS: Final = 4_000
TITLE_CHARACTERS: Final = 250
# To start Python and load the library; the rest of the timeout is for the service.
START_SECONDS: Final = 5.0
INSTALL: Final = "Apprise is not installed; run: pip install -r requirements-apprise.txt"
RUNNER: Final = Path(__file__).with_name("apprise_runner.py")

# No desktops, files, logs, mail servers or raw sockets; what has a kind of its own is left out too.
_NAMES: Final = """
    46elks atalk bark barks betterstack bluesky brevo bulksms burstsms chanify clickatell clicksend
    dingtalk d7sms elks emby embys evolution evolutions feishu firehydrant flock freemobile gchat
    goalert goalerts gorush gorushs gotify gotifys groupme guilded gupshup hassio hassios httpsms
    humhub humhubs ifttt ilert incidentio infobip jira join kavenegar kook kumulos lametric
    lametrics lark line mailgun mailersend mastodon mastodons matrix matrixs misskey misskeys mmost
    mmosts msg91 msgbird ncloud nclouds nctalk nctalks nexmo notica noticas notifiarr notifico
    octopush onesignal opsgenie pagertree parsep parseps pbul plivo postmark pover prowl psafer
    psafers push pushdeer pushdeers pushed pushme pushplus pushy reddit resend revolt ringc rocket
    rockets ryver schan sendgrid sendpulse seven sfr signal signals signl4 sinch simplepush smseagle
    smseagles smsmgr smtp2go sparkpost spike splunk spugpush spush squadcast strmlabs synology
    synologys telnyx threema toot toots twilio twist victorops viber voipms vonage webex wecombot
    whatsapp wxpusher wxteams xmatters zoom zulip
"""
SCHEMAS: Final = frozenset(_NAMES.split())

_TYPES: Final = {
    "critical": "failure",
    "warning": "warning",
    "resolved": "success",
    "acknowledged": "info",
}


def schema_of(url: str) -> str:
    """Return the service that a URL of Apprise names."""
    return url.partition("://")[0].strip().lower()


def refusal_of(url: str) -> str:
    """Return why this URL may not be used; empty if it may."""
    schema = schema_of(url)
    if schema in SCHEMAS:
        return _refusal_of_settings(url)
    if schema in _OWN_KINDS:
        return f"Add a channel of kind {_OWN_KINDS[schema]} instead: it knows the answers."
    return f"{schema[:40]}:// is not among the services that may be used by Apprise."


def secrets_of_url(url: str) -> list[str]:
    """Return every part of a URL: its host, too, may be a key, and what seems a fragment."""
    parts = re.split(r"[/?&;#=@,]|(?<!:):(?!:)", url.partition("://")[2])
    return [found for part in parts if part for found in (part, part.lower(), unquote(part))]


def calm(text: str) -> str:
    """Return text in which no service finds a mention of everybody.

    What counts as one differs from service to service, so none may begin: a space without width
    parts the sign from the name. Addresses of mail stay whole.
    """
    return _MENTION.sub(f"\\g<0>{_NO_SPACE}", text)


def command() -> list[str]:
    """Return what to run: Python without the environment, the user's packages or our folder."""
    return [sys.executable, "-I", "-B", str(RUNNER)]


def job(errand: Errand, *, allow: Sequence[str]) -> bytes:
    """Return what the process reads: where to and what, which no list of processes shows."""
    message = errand.message
    text = errand.text()
    places = "\n".join(f"{name}: {url}" for name, url in wording.links(message))
    room = TEXT_CHARACTERS - min(len(places), TEXT_CHARACTERS // 2) - 2
    body = f"{wording.fit(text, limit=room, escape=calm)}\n\n{places}".strip()
    return orjson.dumps(
        {
            "url": errand.setting("url"),
            "title": calm(wording.headline(message, limit=TITLE_CHARACTERS)),
            "body": body,
            "type": _TYPES.get(wording.standing(message), "info"),
            "timeout": errand.timeout_seconds,
            "allow": list(allow),
        }
    )


def classify(output: bytes, exit_code: int, *, secrets: Sequence[str]) -> Outcome:
    """Judge what the process said; the library tells no more than whether it worked."""
    told = _members(output)
    said = told.get("log")
    words = "\n".join(str(line) for line in said) if isinstance(said, list) else ""
    result = told.get("result")
    if result == "sent":
        return Outcome(verdict=Verdict.DELIVERED, provider_ref="accepted")
    if result == "missing":
        return Outcome(
            verdict=Verdict.REFUSED, error_class="not_installed", detail=INSTALL, local=True
        )
    if result == "refused":
        detail = single_line(scrub(words, secrets), limit=200) or "Apprise cannot read this URL."
        return Outcome(
            verdict=Verdict.REFUSED, error_class="refused_target", detail=detail, local=True
        )
    if result == "failed":
        last = single_line(scrub(words.rpartition("\n")[2], secrets), limit=200)
        return Outcome(
            verdict=Verdict.RETRY,
            error_class="apprise",
            detail=f"Apprise could not deliver it: {last}" if last else "Apprise says no more.",
            excerpt=excerpt(words.encode("utf-8", "replace"), secrets),
        )
    return Outcome(
        verdict=Verdict.RETRY,
        error_class="apprise_ended",
        detail=f"The process of Apprise ended with code {exit_code} and no answer.",
        uncertain=True,
    )


def timed_out() -> Outcome:
    """Return that the process was ended because it took too long."""
    return Outcome(
        verdict=Verdict.RETRY,
        error_class="timeout",
        detail="The service behind Apprise did not answer in time.",
        uncertain=True,
    )


def _refusal_of_settings(url: str) -> str:
    """Return which setting in the URL is not the URL's to make; read as the library reads them."""
    for pair in re.split("[&;]", url.partition("?")[2]):
        name, _, value = (unquote(part).strip().lower() for part in pair.partition("="))
        if name == "verify" and value != "yes":
            return "Certificates are always verified; remove verify= from the URL."
        if name in _OURS:
            return f"OpsPlatform decides that itself; remove {name}= from the URL."
    return ""


# Timeouts, files, cuts and redirects, all of which the library takes from the URL.
_OURS: Final = frozenset({"cto", "overflow", "redirect", "rto", "store"})
_NO_SPACE: Final = "\N{ZERO WIDTH SPACE}"
_MENTION: Final = re.compile(r"(?<![A-Za-z0-9])[@\uff20]|<(?=\S)")

_OWN_KINDS: Final = {
    "discord": "Discord",
    "json": "Webhook",
    "jsons": "Webhook",
    "mailto": "E-mail",
    "mailtos": "E-mail",
    "ntfy": "ntfy",
    "ntfys": "ntfy",
    "pagerduty": "PagerDuty",
    "slack": "Slack",
    "tgram": "Telegram",
    "workflow": "Microsoft Teams",
    "workflows": "Microsoft Teams",
}


def _members(output: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(output)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
