"""What was proven so far, between two steps: five minutes, used once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils import timezone

from accounts.models import LoginChallenge
from accounts.services.lockout import PEPPER
from core import crypto

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

SECONDS: Final = 300
Kind = LoginChallenge.Kind

_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that is still open."""

    digest: str
    user_id: UUID | None
    session: UUID | None
    state: Mapping[str, Any]


def issue(
    *,
    kind: LoginChallenge.Kind,
    user_id: UUID | None,
    state: Mapping[str, Any],
    session: UUID | None = None,
) -> str:
    """Return the token of a new challenge; only its digest is stored."""
    token = secrets.token_urlsafe(32)
    LoginChallenge.objects.create(
        digest=_digest(token),
        kind=kind,
        user_id=user_id,
        session=session,
        state=dict(state),
        expires_at=timezone.now() + timedelta(seconds=SECONDS),
    )
    return token


def peek(token: str, kind: LoginChallenge.Kind) -> Challenge | None:
    """Return the challenge of a token while it can still be answered."""
    if not 0 < len(token) <= _LONGEST:
        return None
    row = LoginChallenge.objects.filter(
        digest=_digest(token), kind=kind, used_at=None, expires_at__gt=timezone.now()
    ).first()
    if row is None:
        return None
    return Challenge(row.digest, row.user_id, row.session, row.state)


def claim(challenge: Challenge) -> bool:
    """Use the challenge up; of two that answer it at once, one gets True."""
    now = timezone.now()
    claimed = LoginChallenge.objects.filter(
        digest=challenge.digest, used_at=None, expires_at__gt=now
    ).update(used_at=now)
    return claimed == 1


def clear_old() -> int:
    """Delete what nobody can answer any more."""
    return LoginChallenge.objects.filter(expires_at__lt=timezone.now()).delete()[0]


def _digest(token: str) -> str:
    secret = settings.KEYRING.ensure(PEPPER)
    return crypto.keyed_digest(secret, f"challenge\0{token}").hex()
