"""Private settings of channels: judged by the table of kinds, and what may be shown of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from django.conf import settings

from core.errors import InvalidInputError
from core.http import Allow, InvalidTargetError, Policy, RefusedTargetError, check_url
from notifications.engine import apprise
from notifications.engine.email import HeaderRefusedError, parse_address
from notifications.engine.kinds import KINDS, Field, Kind, Shape
from notifications.engine.targets import shown_addresses, shown_url
from notifications.models import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_RECIPIENTS: Final = 50
UNUSABLE: Final = "The channel cannot be used like this."

_SLACK_NEEDS: Final = "Enter the URL of an incoming webhook, or a bot token and a Slack channel."
_SLACK_TRIGGER: Final = (
    "This starts a workflow of Slack; make an incoming webhook and enter its URL."
)
_TAIL: Final = 4


def usable_config(*, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a channel of this kind keeps of the given settings; raises InvalidInputError."""
    known = KINDS.get(kind)
    if known is None:
        raise InvalidInputError(UNUSABLE, errors={"kind": ["There is no such kind."]})
    found: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for field in known.fields:
        try:
            value = _usable(field, config.get(field.name))
        except InvalidInputError as error:
            errors |= error.errors
        else:
            if value:
                found[field.name] = value
    if not errors:
        errors = _together(kind, found)
    if errors:
        raise InvalidInputError(UNUSABLE, errors=errors)
    return found


def merged(*, kind: str, stored: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored settings with what is given in their place; None and "" take one away."""
    names = {field.name for field in KINDS[kind].fields}
    kept = {name: value for name, value in stored.items() if name in names}
    if kind == Channel.Kind.SLACK:
        # One way excludes the other.
        for way, other in (("token", ("url",)), ("url", ("token", "channel"))):
            if given.get(way):
                kept = {name: value for name, value in kept.items() if name not in other}
    return kept | dict(given)


def usable_url(url: str) -> str:
    """Return the URL, judged by the outgoing policy as far as that needs no lookup."""
    allow = Allow.parse(settings.OPS_OUTGOING_ALLOW)
    try:
        check_url(url, policy=Policy.OUTBOUND, allow=allow)
    except (InvalidTargetError, RefusedTargetError) as error:
        _refuse("url", error.message)
    return url


def usable_recipients(recipients: Sequence[str]) -> list[str]:
    """Return the addresses as mail servers write them, each once."""
    found: dict[str, None] = {}
    for recipient in recipients:
        try:
            found[parse_address(str(recipient).strip(), header="To").addr_spec] = None
        except HeaderRefusedError:
            told = f"{str(recipient)[:100]!r} is no address; write it as name@example.com."
            _refuse("recipients", told)
    if not 0 < len(found) <= MOST_RECIPIENTS:
        _refuse("recipients", f"Name 1 to {MOST_RECIPIENTS} addresses.")
    return list(found)


def shown_target(kind: str, config: Mapping[str, Any]) -> str:
    """Return what anybody who sees the channel may know of where it leads."""
    if kind == Channel.Kind.EMAIL:
        return shown_addresses(config["recipients"]) or "People, by their own addresses"
    if kind == Channel.Kind.SLACK and config.get("token"):
        return f"Slack, {config['channel']}"
    if kind == Channel.Kind.TELEGRAM:
        topic = f", topic {config['topic']}" if config.get("topic") else ""
        return f"Telegram, chat {config['chat_id']}{topic}"
    if kind == Channel.Kind.PAGERDUTY:
        region = dict(KINDS[kind].field("region").choices)[config["region"]]
        return f"PagerDuty, {region}, key …{config['routing_key'][-_TAIL:]}"
    if kind == Channel.Kind.NTFY:
        return f"{shown_url(config['server'])}, topic {config['topic'][:2]}…"
    if kind == Channel.Kind.APPRISE:
        return f"Apprise, {apprise.schema_of(config['url'])}"
    return shown_url(config["url"])


def _usable(field: Field, value: object) -> Any:  # noqa: ANN401  # text, or a list of texts
    if field.shape is Shape.LINES:
        return usable_recipients(value if isinstance(value, list | tuple) else ())
    text = str(value if value is not None else "").strip() or field.default
    if not text:
        if field.is_required:
            _refuse(field.name, "This field is required.")
        return ""
    if len(text) > field.longest:
        _refuse(field.name, f"It has more than {field.longest:,} characters.")
    if field.choices and text not in dict(field.choices):
        told = " or ".join(name for name, _ in field.choices)
        _refuse(field.name, f"Choose {told}.")
    if field.shape is Shape.URL:
        try:
            usable_url(text)
        except InvalidInputError as error:
            _refuse(field.name, error.errors["url"][0])
    if field.pattern and not re.fullmatch(field.pattern, text, re.ASCII):
        _refuse(field.name, field.problem)
    return text


def _together(kind: str, config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what settings that are sound by themselves do wrong together."""
    if kind == Channel.Kind.SLACK:
        return _slack_problems(config)
    if kind == Channel.Kind.APPRISE and (refusal := apprise.refusal_of(config["url"])):
        return {"url": [refusal]}
    return {}


def _slack_problems(config: Mapping[str, Any]) -> dict[str, list[str]]:
    url = config.get("url")
    if bool(url) == bool(config.get("token")):
        return {"url": [_SLACK_NEEDS]}
    if not url and not config.get("channel"):
        return {"channel": ["Name the Slack channel that the bot writes to."]}
    if url and urlsplit(url).path.startswith(("/triggers/", "/workflows/")):
        return {"url": [_SLACK_TRIGGER]}
    return {}


def takes_people(kind: Kind, config: Mapping[str, Any]) -> bool:
    """Tell whether messages of a channel can go to a person's own address."""
    if kind.name == Channel.Kind.SLACK:
        return bool(config.get("token"))
    return kind.takes_addresses


def _refuse(name: str, told: str) -> NoReturn:
    raise InvalidInputError(UNUSABLE, errors={name: [told]})
