"""What was proven so far, between two steps: five minutes, used once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import LoginChallenge
from accounts.services.buckets import PEPPER
from core import crypto

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

SECONDS: Final = 300
Kind = LoginChallenge.Kind

LONGEST_SIGNED: Final = 1_000

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


def sign(*, kind: LoginChallenge.Kind, state: Mapping[str, Any]) -> str:
    """Return a token that holds the challenge itself: asking for one stores nothing."""
    return signing.dumps(
        {"state": dict(state), "nonce": secrets.token_urlsafe(16)}, key=_secret(), salt=_salt(kind)
    )


def read_signed(token: str, kind: LoginChallenge.Kind) -> Mapping[str, Any] | None:
    """Return the challenge in a token of ours while it can still be answered."""
    if not 0 < len(token) <= LONGEST_SIGNED:
        return None
    try:
        found = signing.loads(token, key=_secret(), salt=_salt(kind), max_age=SECONDS)
    except signing.BadSignature:
        return None
    state: Mapping[str, Any] = found["state"]
    return state


def claim_signed(token: str, kind: LoginChallenge.Kind) -> bool:
    """Use the challenge up by storing that it was; of two at once, one gets True."""
    now = timezone.now()
    used = LoginChallenge(
        digest=_digest(token),
        kind=kind,
        expires_at=now + timedelta(seconds=SECONDS),
        used_at=now,
    )
    try:
        with transaction.atomic():
            used.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def clear_old() -> int:
    """Delete what nobody can answer any more."""
    return LoginChallenge.objects.filter(expires_at__lt=timezone.now()).delete()[0]


def _digest(token: str) -> str:
    return crypto.keyed_digest(_secret(), f"challenge\0{token}").hex()


def _secret() -> str:
    found: str = settings.KEYRING.ensure(PEPPER)
    return found


def _salt(kind: LoginChallenge.Kind) -> str:
    return f"accounts.challenge.{kind}"
