"""Channels: audited changes of how people are reached."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from core.http import Allow, InvalidTargetError, Policy, RefusedTargetError, check_url
from core.keyring import KeyringError
from notifications.engine.email import HeaderRefusedError, parse_address
from notifications.engine.targets import shown_addresses, shown_url
from notifications.models import Channel, Notification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from core.actors import Actor

MOST_RECIPIENTS: Final = 50
# A receiver has this long to learn a new secret; meanwhile both sign.
OVERLAP: Final = timedelta(hours=48)
ENVIRONMENT_NAMES: Final = ("MONITORING_ALERT_WEBHOOK", "OPS_ALERT_EMAILS")

_UNUSABLE: Final = "The channel cannot be used like this."


@dataclass(frozen=True, slots=True)
class Created:
    """A new channel, and its signing secret if it has one: for showing once."""

    channel: Channel
    signing_secret: str = field(default="", repr=False)


@audited
def create(
    *,
    actor: Actor,
    kind: str,
    name: str,
    config: Mapping[str, Any],
    enabled: bool = True,
    timeout_seconds: int = 10,
    max_parallel: int = 10,
) -> Created:
    """Add a channel; every alert from now on goes there too, while it is enabled.

    `config` is {"url": …} for a webhook and {"recipients": […]} for e-mail. Raises
    InvalidInputError.
    """
    if name in ENVIRONMENT_NAMES:
        message = "This name belongs to the channel that the variable of that name creates."
        raise InvalidInputError(message, errors={"name": [message]})
    secret = new_secret() if kind == Channel.Kind.WEBHOOK else ""
    private = usable_config(kind=kind, config=config)
    channel = Channel(
        kind=kind,
        name=name,
        target=shown_target(private),
        config=private | ({"secret": secret} if secret else {}),
        enabled=enabled,
        disabled_reason="" if enabled else _by_hand(actor),
        timeout_seconds=timeout_seconds,
        max_parallel=max_parallel,
    )
    _save(channel, force_insert=True)
    record(actor=actor, action="channel.created", target=channel, after=shown(channel))
    return Created(channel, secret)


@audited
def update(
    *,
    actor: Actor,
    channel_id: UUID,
    name: str,
    enabled: bool,
    timeout_seconds: int,
    max_parallel: int,
    config: Mapping[str, Any] | None = None,
) -> Channel:
    """Change a channel; without `config` it keeps its URL or recipients.

    Whoever repairs a channel need not wait: a change ends its pause.
    """
    channel = _editable(channel_id)
    before = shown(channel)
    if config is not None:
        private = usable_config(kind=channel.kind, config=config)
        is_signed = channel.kind == Channel.Kind.WEBHOOK
        channel.config = {**_opened(channel), **private} if is_signed else private
        channel.target = shown_target(private)
    if channel.enabled and not enabled:
        channel.disabled_reason = _by_hand(actor)
    elif enabled:
        channel.disabled_reason = ""
    channel.name = name
    channel.enabled = enabled
    channel.timeout_seconds = timeout_seconds
    channel.max_parallel = max_parallel
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
    if channel.kind != Channel.Kind.WEBHOOK:
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
    """Remove a channel; what waits for it is cancelled, its history stays."""
    channel = _editable(channel_id)
    waiting = Notification.objects.pending().filter(channel=channel)
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


def usable_config(*, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a channel of this kind keeps of the given settings; raises InvalidInputError."""
    if kind == Channel.Kind.WEBHOOK:
        return {"url": usable_url(str(config.get("url", "")))}
    if kind == Channel.Kind.EMAIL:
        return {"recipients": usable_recipients(config.get("recipients", ()))}
    raise InvalidInputError(_UNUSABLE, errors={"kind": ["There is no such kind."]})


def usable_url(url: str) -> str:
    """Return the URL, judged by the outgoing policy as far as that needs no lookup."""
    allow = Allow.parse(settings.OPS_OUTGOING_ALLOW)
    try:
        check_url(url, policy=Policy.OUTBOUND, allow=allow)
    except (InvalidTargetError, RefusedTargetError) as error:
        raise InvalidInputError(_UNUSABLE, errors={"url": [error.message]}) from error
    return url


def usable_recipients(recipients: Sequence[str]) -> list[str]:
    """Return the addresses as mail servers write them, each once."""
    found: dict[str, None] = {}
    for recipient in recipients:
        try:
            found[parse_address(str(recipient).strip(), header="To").addr_spec] = None
        except HeaderRefusedError as error:
            told = f"{str(recipient)[:100]!r} is no address; write it as name@example.com."
            raise InvalidInputError(_UNUSABLE, errors={"recipients": [told]}) from error
    if not 0 < len(found) <= MOST_RECIPIENTS:
        told = f"Name 1 to {MOST_RECIPIENTS} addresses."
        raise InvalidInputError(_UNUSABLE, errors={"recipients": [told]})
    return list(found)


def shown_target(config: Mapping[str, Any]) -> str:
    """Return what anybody who sees the channel may know of where it leads."""
    if "url" in config:
        return shown_url(config["url"])
    return shown_addresses(config["recipients"])


def shown(channel: Channel) -> dict[str, object]:
    """Return the settings that may be told, for the audit log."""
    return {
        "kind": channel.kind,
        "name": channel.name,
        "target": channel.target,
        "enabled": channel.enabled,
        "timeout_seconds": channel.timeout_seconds,
        "max_parallel": channel.max_parallel,
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
        message = f"The variable {channel.name} decides this channel; change it there."
        raise InvalidTransitionError(message)
    return channel


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
        raise InvalidInputError(_UNUSABLE, errors=error.message_dict) from None
    try:
        with transaction.atomic():
            channel.save(force_insert=force_insert)
    except IntegrityError:
        message = "There is a channel of this name."
        raise InvalidInputError(message, errors={"name": [message]}) from None
