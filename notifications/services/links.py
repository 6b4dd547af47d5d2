"""Links in messages: to the thread in the console, and to the page that acknowledges it."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Final
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

LASTS: Final = timedelta(hours=24)
"""For how long a message can be acknowledged by its link."""

_SALT: Final = "notifications.acknowledge.v2"
_BODY: Final = struct.Struct(">16s16sQI")
_PROOF_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Pass:
    """What a link says: who may acknowledge which thread, by which message, and until when."""

    group_key: UUID
    user_id: UUID
    message_id: int
    expires_at: datetime

    @property
    def is_over(self) -> bool:
        """Tell whether it no longer works."""
        return self.expires_at <= timezone.now()


def acknowledge_url(group_key: UUID, user_id: UUID, message_id: int, since: datetime) -> str:
    """Return the address of the page where this person acknowledges what this message told.

    It is made while a message is sent and stored nowhere: whoever knows it acts as the person. It
    works for a day from `since`, the time of the message.
    """
    expires = int((since + LASTS).timestamp())
    body = _BODY.pack(group_key.bytes, user_id.bytes, message_id, expires)
    token = base64.urlsafe_b64encode(body + _proof(body)).decode().rstrip("=")
    return settings.BASE_URL.rstrip("/") + reverse("acknowledge", args=[token])


def thread_url(group_id: int) -> str:
    """Return the address of a thread in the console."""
    path = reverse("admin:notifications_group_change", args=[group_id])
    return settings.BASE_URL.rstrip("/") + path


def read(token: str) -> Pass | None:
    """Return what a link says; None for one that the platform has not made."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, proof = raw[: _BODY.size], raw[_BODY.size :]
    if len(body) != _BODY.size or not compare_digest(proof, _proof(body)):
        return None
    group_key, user_id, message_id, expires = _BODY.unpack(body)
    return Pass(
        UUID(bytes=group_key),
        UUID(bytes=user_id),
        message_id,
        datetime.fromtimestamp(expires, UTC),
    )


def _proof(body: bytes) -> bytes:
    made = salted_hmac(_SALT, base64.b64encode(body), algorithm="sha256")
    return made.digest()[:_PROOF_BYTES]
