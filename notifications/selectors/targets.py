"""Targets: one recipient of one channel, which is what a message is made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.crypto import UnsealError
from notifications.models import Channel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Target:
    """One recipient of one channel; `user_id` is whose own address it is, if it is a person's."""

    channel: Channel
    recipient: str = ""
    user_id: UUID | None = None


def targets_of_channels(channels: Iterable[Channel]) -> list[Target]:
    """Return the recipients of these channels; what is switched off reaches nobody.

    Raises KeyringError if the keyring cannot be read at all, which concerns every channel.
    """
    return [
        Target(channel, recipient)
        for channel in channels
        if channel.enabled
        for recipient in recipients_of(channel)
    ]


def recipients_of(channel: Channel) -> tuple[str, ...]:
    """Return the addresses of a mail channel; others have one receiver without a name.

    Raises KeyringError if the keyring cannot be read at all, which concerns every channel.
    """
    if channel.kind != Channel.Kind.EMAIL:
        return ("",)
    try:
        return tuple(channel.config["recipients"])
    except UnsealError:
        # These settings alone are lost. Their message must exist: its dispatch tells that.
        return ("",)
