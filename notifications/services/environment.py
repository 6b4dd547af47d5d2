"""Channels that the environment names: rows like others, decided by variables."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from audit.services.acts import act
from audit.services.records import record
from core.actors import Actor
from core.crypto import UnsealError
from core.errors import InvalidInputError
from core.keyring import KeyringError
from notifications.models import Channel
from notifications.services import channels
from notifications.services.channels import PEOPLE_CHANNEL
from notifications.services.senders import ENVIRONMENT_SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

ENVIRONMENT: Final = Actor.schedule("environment")
UNSET: Final = "The variable is not set."


def sync_environment_channels() -> bool:
    """Bring the rows in step with the variables and return whether they are.

    Doing it again changes nothing. A row that the keyring cannot open or seal stays as it is. A
    variable that is not set any more leaves its row, disabled, so that the history keeps its
    channel. A receiver that asked not to be called (410) stays disabled until its variable changes.
    """
    webhook, addresses = settings.MONITORING_ALERT_WEBHOOK, settings.OPS_ALERT_EMAILS
    bot, chat = settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_CHAT_ID
    done = [
        _take_over(
            Channel.Kind.WEBHOOK, "MONITORING_ALERT_WEBHOOK", {"url": webhook} if webhook else None
        ),
        _take_over(
            Channel.Kind.EMAIL,
            "OPS_ALERT_EMAILS",
            {"recipients": list(addresses)} if addresses else None,
        ),
        _take_over(
            Channel.Kind.TELEGRAM,
            "TELEGRAM_BOT_TOKEN",
            {"token": bot, "chat_id": chat} if bot and chat else None,
        ),
        # People without a way of their own are told by mail.
        _take_over(
            Channel.Kind.EMAIL, PEOPLE_CHANNEL, {"recipients": []} if settings.EMAIL_HOST else None
        ),
    ]
    return all(done)


def reveal_webhook_secret(*, actor: Actor) -> str:
    """Return the secret that signs MONITORING_ALERT_WEBHOOK; the look at it is audited."""
    with act():
        record(actor=actor, action="channel.secret_revealed", name=ENVIRONMENT_SECRET)
        secret: str = settings.KEYRING.ensure(ENVIRONMENT_SECRET)
        return secret


def _take_over(kind: Channel.Kind, variable: str, wanted: Mapping[str, Any] | None) -> bool:
    try:
        if wanted is not None and kind == Channel.Kind.WEBHOOK:
            # Made before the first message, so that the receiver can be told.
            settings.KEYRING.ensure(ENVIRONMENT_SECRET)
        _sync(kind, variable, wanted)
    except KeyringError as error:
        logger.error(  # noqa: TRY400  # the text names the file to repair
            "The keyring fails the channel of a variable, which stays as it is: %s",
            error,
            extra={"variable": variable},
        )
        return False
    return True


def _sync(kind: Channel.Kind, variable: str, wanted: Mapping[str, Any] | None) -> None:
    try:
        config = _usable(kind, variable, wanted)
    except InvalidInputError as error:
        # A target that the policy refuses must not keep the other channels from starting.
        reasons = [text for texts in error.errors.values() for text in texts]
        logger.warning(
            "The channel of a variable cannot be used.",
            extra={"variable": variable, "reasons": reasons},
        )
        config = dict(wanted or {})
    with act():
        channel = Channel.objects.select_for_update().filter(name=variable).first()
        if channel is None and config is not None:
            _create(kind, variable, config)
        elif channel is not None and config is None:
            _switch_off(channel)
        elif channel is not None and config is not None:
            _refresh(channel, config)


def _usable(
    kind: Channel.Kind, variable: str, wanted: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if wanted is None or variable == PEOPLE_CHANNEL:
        return None if wanted is None else dict(wanted)
    return channels.usable_config(kind=kind, config=wanted)


def _create(kind: Channel.Kind, variable: str, config: dict[str, Any]) -> None:
    channel = Channel.objects.create(
        kind=kind,
        name=variable,
        target=channels.shown_target(kind, config),
        config=config,
        is_for_people=variable == PEOPLE_CHANNEL,
        managed_by=Channel.ManagedBy.ENVIRONMENT,
    )
    record(
        actor=ENVIRONMENT, action="channel.created", target=channel, after=channels.shown(channel)
    )


def _switch_off(channel: Channel) -> None:
    if Channel.objects.filter(pk=channel.pk, enabled=True).update(
        enabled=False, disabled_reason=UNSET
    ):
        record(actor=ENVIRONMENT, action="channel.disabled", target=channel, reason=UNSET)


def _refresh(channel: Channel, config: dict[str, Any]) -> None:
    returned = not channel.enabled and channel.disabled_reason == UNSET
    if not returned and _same(channel, config):
        return
    before = channels.shown(channel)
    channel.config = config
    channel.target = channels.shown_target(channel.kind, config)
    channel.enabled = True
    channel.disabled_reason = ""
    channels.revise(channel)
    record(
        actor=ENVIRONMENT,
        action="channel.updated",
        target=channel,
        before=before,
        after=channels.shown(channel),
    )


def _same(channel: Channel, config: dict[str, Any]) -> bool:
    try:
        return bool(channel.config == config)
    except UnsealError:
        # Only a key that can be read and does not fit makes the stored settings worthless.
        return False
