"""Channels: audited changes of how people are reached."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from core.keyring import KeyringError
from notifications.engine.kinds import KINDS
from notifications.models import Channel, EscalationStep, Notification
from notifications.services import channelrules
from notifications.services.configs import (
    MOST_RECIPIENTS,
    UNUSABLE,
    merged,
    shown_target,
    usable_config,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import time
    from uuid import UUID

    from core.actors import Actor

__all__ = [
    "MOST_RECIPIENTS",
    "create",
    "delete",
    "revise",
    "rotate_secret",
    "shown",
    "shown_target",
    "update",
    "usable_config",
]

# A receiver has this long to learn a new secret; meanwhile both sign.
OVERLAP: Final = timedelta(hours=48)
PEOPLE_CHANNEL: Final = "E-mail to people"
# The names of channels that variables make, and which variable it is.
ENVIRONMENT_NAMES: Final = {
    "MONITORING_ALERT_WEBHOOK": "MONITORING_ALERT_WEBHOOK",
    "OPS_ALERT_EMAILS": "OPS_ALERT_EMAILS",
    "TELEGRAM_BOT_TOKEN": "TELEGRAM_BOT_TOKEN",
    PEOPLE_CHANNEL: "EMAIL_HOST",
}


class Settings(TypedDict, total=False):
    """What is set of a channel beside where it leads."""

    name: str
    enabled: bool
    timeout_seconds: int
    max_parallel: int
    rate_per_minute: int | None
    fallback: Channel | None
    is_for_people: bool
    template: str
    quiet_from: time | None
    quiet_until: time | None
    quiet_days: list[int]
    time_zone: str


@dataclass(frozen=True, slots=True)
class Created:
    """A new channel, and its signing secret if it has one: for showing once."""

    channel: Channel
    signing_secret: str = field(default="", repr=False)


@audited
def create(
    *, actor: Actor, kind: str, config: Mapping[str, Any], **given: Unpack[Settings]
) -> Created:
    """Add a channel; what it is told from now on depends on the routes.

    `config` has the fields that the kind names. Raises InvalidInputError.
    """
    if given.get("name") in ENVIRONMENT_NAMES:
        message = "This name belongs to the channel that the variable of that name creates."
        raise InvalidInputError(message, errors={"name": [message]})
    private = usable_config(kind=kind, config=config)
    secret = new_secret() if KINDS[kind].is_signed else ""
    channel = Channel(
        kind=kind,
        target=shown_target(kind, private),
        config=private | ({"secret": secret} if secret else {}),
    )
    _apply(channel, given, actor, private)
    _save(channel, force_insert=True)
    record(actor=actor, action="channel.created", target=channel, after=shown(channel))
    return Created(channel, secret)


@audited
def update(
    *,
    actor: Actor,
    channel_id: UUID,
    config: Mapping[str, Any] | None = None,
    **given: Unpack[Settings],
) -> Channel:
    """Change what is given of a channel; `config` replaces only the fields that it names.

    Whoever repairs a channel need not wait: a change ends its pause.
    """
    if given.get("fallback") is not None:
        # All of them, in one order: two changes at once could close a circle together.
        list(Channel.objects.select_for_update().order_by("pk").values_list("pk"))
    channel = _editable(channel_id)
    before = shown(channel)
    stored = _stored(channel)
    private = stored
    if config is not None:
        wanted = merged(kind=channel.kind, stored=stored, given=config)
        private = usable_config(kind=channel.kind, config=wanted)
        is_signed = KINDS[channel.kind].is_signed
        channel.config = {**_opened(channel), **private} if is_signed else private
        channel.target = shown_target(channel.kind, private)
    _apply(channel, given, actor, private)
    revise(channel)
    old, new = changes(before, shown(channel))
    record(
        actor=actor,
        action="channel.updated",
        target=channel,
        before=old,
        after=new,
        config_changed=config is not None,
    )
    return channel


@audited
def rotate_secret(*, actor: Actor, channel_id: UUID) -> str:
    """Give a webhook a new signing secret and return it for showing once.

    The old one signs beside it for 48 hours, so that the receiver can change over in peace.
    """
    channel = _editable(channel_id)
    if not KINDS[channel.kind].is_signed:
        message = "Only webhooks are signed."
        raise InvalidTransitionError(message)
    present = _opened(channel)
    secret = new_secret()
    until = timezone.now() + OVERLAP
    channel.config = {
        **present,
        "secret": secret,
        "previous": {"secret": present["secret"], "until": until.isoformat()},
    }
    revise(channel)
    record(
        actor=actor,
        action="channel.secret_rotated",
        target=channel,
        previous_valid_until=until.isoformat(timespec="seconds"),
    )
    return secret


@audited
def delete(*, actor: Actor, channel_id: UUID) -> None:
    """Remove a channel; what waits for it is cancelled, its history stays.

    Raises InvalidTransitionError while a route or an escalation names it: without it they would
    reach nobody, and nobody would notice.
    """
    channel = _editable(channel_id)
    _refuse_while_used(channel)
    waiting = Notification.objects.filter(
        channel=channel, state__in=[Notification.State.PENDING, Notification.State.HELD]
    )
    cancelled = waiting.update(
        state=Notification.State.CANCELLED,
        lease_until=None,
        lease_token=None,
        last_error="The channel was deleted.",
    )
    record(
        actor=actor,
        action="channel.deleted",
        target=channel,
        before=shown(channel),
        messages_cancelled=cancelled,
    )
    channel.delete()


def shown(channel: Channel) -> dict[str, object]:
    """Return the settings that may be told, for the audit log."""
    return {
        "kind": channel.kind,
        "name": channel.name,
        "target": channel.target,
        "enabled": channel.enabled,
        "timeout_seconds": channel.timeout_seconds,
        "max_parallel": channel.max_parallel,
        "rate_per_minute": channel.rate_per_minute,
        "fallback": channel.fallback.name if channel.fallback is not None else "",
        "is_for_people": channel.is_for_people,
        "template": channel.template,
        "quiet_from": str(channel.quiet_from or ""),
        "quiet_until": str(channel.quiet_until or ""),
        "quiet_days": channel.quiet_days,
        "time_zone": channel.time_zone,
    }


def new_secret() -> str:
    """Return a signing secret: 48 random bytes as 64 characters."""
    return secrets.token_urlsafe(48)


def _by_hand(actor: Actor) -> str:
    return f"Switched off by {actor.name}"[:200]


def _editable(channel_id: UUID) -> Channel:
    channel = Channel.objects.select_for_update().filter(pk=channel_id).first()
    if channel is None:
        message = "There is no such channel."
        raise NotFoundError(message)
    if channel.is_managed_by_environment:
        variable = ENVIRONMENT_NAMES.get(channel.name, channel.name)
        message = f"The variable {variable} decides this channel; change it there."
        raise InvalidTransitionError(message)
    return channel


def _apply(channel: Channel, given: Settings, actor: Actor, private: Mapping[str, Any]) -> None:
    """Set what is given, judged together; raises InvalidInputError."""
    for name, value in given.items():
        if name == "enabled":
            continue
        setattr(channel, name, value)
    enabled = given.get("enabled", channel.enabled)
    if channel.enabled and not enabled:
        channel.disabled_reason = _by_hand(actor)
    elif enabled:
        channel.disabled_reason = ""
    channel.enabled = enabled
    errors = channelrules.problems(channel, private)
    if errors:
        raise InvalidInputError(UNUSABLE, errors=errors)
    channel.quiet_days = sorted(set(channel.quiet_days))


def _refuse_while_used(channel: Channel) -> None:
    routes = list(channel.routes.order_by("position").values_list("name", flat=True))
    chains = EscalationStep.objects.filter(channels=channel).values_list("chain__name", flat=True)
    names = [f"route {name}" for name in routes] + [
        f"escalation {name}" for name in sorted(set(chains))
    ]
    if names:
        message = f"It is still used by {', '.join(names)}; take it out there first."
        raise InvalidTransitionError(message)


def _stored(channel: Channel) -> dict[str, Any]:
    try:
        return dict(channel.config)
    except KeyringError:
        return {}


def _opened(channel: Channel) -> dict[str, Any]:
    try:
        return dict(channel.config)
    except KeyringError:
        message = (
            "The keyring cannot open the signing secret of this channel; "
            "restore it, or delete the channel and add it again."
        )
        raise InvalidTransitionError(message) from None


def revise(channel: Channel) -> None:
    """Save a changed channel as good as new; senders that are at work take notice."""
    channel.fails = 0
    channel.open_until = None
    channel.last_error = ""
    channel.revision = channel.revision + 1
    _save(channel)


def _save(channel: Channel, *, force_insert: bool = False) -> None:
    try:
        channel.clean_fields(exclude={"config"})
    except ValidationError as error:
        raise InvalidInputError(UNUSABLE, errors=error.message_dict) from None
    try:
        with transaction.atomic():
            channel.save(force_insert=force_insert)
    except IntegrityError:
        message = "There is a channel of this name."
        raise InvalidInputError(message, errors={"name": [message]}) from None
