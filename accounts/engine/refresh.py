"""Refresh tokens: opaque, each derived from the one before, so that a repeat gives the same child.

`opsr_<pepper id>_<sid>_<generation>_<secret>_<tag>`. The tag proves that the token was ours once
without a look-up; the row of the session holds digests only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

REPLAY_SECONDS: Final = 10
_SHAPE: Final = re.compile(
    r"opsr_([0-9a-f]{8})_([0-9a-f]{32})_(0|[1-9][0-9]{0,8})_([A-Za-z0-9_-]{43})_([A-Za-z0-9_-]{22})"
)
_LONGEST: Final = 128
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One token of the chain of a session."""

    pepper: str
    sid: str
    generation: int
    secret: str

    @property
    def pepper_id(self) -> str:
        """Return what names the pepper."""
        return _pepper_id(self.pepper)

    @property
    def session_id(self) -> UUID:
        """Return the key of the session's row."""
        return UUID(self.sid)

    @property
    def digest(self) -> str:
        """Return what is stored in place of the secret."""
        return hashlib.sha256(f"{self.sid}/{self.generation}/{self.secret}".encode()).hexdigest()

    @property
    def text(self) -> str:
        """Return what the client gets."""
        tag = _tag(self.pepper, self.sid, self.generation, self.secret)
        return f"opsr_{self.pepper_id}_{self.sid}_{self.generation}_{self.secret}_{tag}"

    def child(self) -> RefreshToken:
        """Return the next token; the same one each time."""
        generation = self.generation + 1
        raw = _mac(self.pepper, f"next/{self.secret}/{self.sid}/{generation}")
        return RefreshToken(self.pepper, self.sid, generation, _text(raw))


def first(pepper: str, session_id: UUID) -> RefreshToken:
    """Return the token that begins the chain of a session."""
    return RefreshToken(pepper, session_id.hex, 0, _text(secrets.token_bytes(32)))


def parse(text: str, peppers: Sequence[str]) -> RefreshToken | None:
    """Return the token if it was ours once; nothing is looked up for a forged one."""
    found = _SHAPE.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    pepper_id, sid, generation, secret, tag = found.groups()
    for pepper in peppers:
        if hmac.compare_digest(_pepper_id(pepper), pepper_id):
            expected = _tag(pepper, sid, int(generation), secret)
            if hmac.compare_digest(expected, tag):
                return RefreshToken(pepper, sid, int(generation), secret)
    return None


def _tag(pepper: str, sid: str, generation: int, secret: str) -> str:
    return _text(_mac(pepper, f"tag/{sid}/{generation}/{secret}")[:_TAG_BYTES])


def _mac(pepper: str, text: str) -> bytes:
    return hmac.digest(pepper.encode(), text.encode(), "sha256")


def _pepper_id(pepper: str) -> str:
    return hashlib.sha256(b"key id\0" + pepper.encode()).hexdigest()[:8]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
