"""Recovery codes: ten of 80 bits, each works once, shown once."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils import timezone

from accounts.models import RecoveryCode
from accounts.services.buckets import PEPPER
from audit.services.acts import audited
from audit.services.records import record
from core import crypto

if TYPE_CHECKING:
    from accounts.models import User
    from core.actors import Actor

COUNT: Final = 10
FEW: Final = 3
_BYTES: Final = 10
_GROUP: Final = 4
# Base 32 has none of these digits: whoever reads one meant the letter.
_MEANT: Final = str.maketrans("018", "olb", " -\t\r\n")


@audited
def renew(*, actor: Actor, user: User) -> list[str]:
    """Return ten new codes for showing once; the old ones work no more."""
    codes = [_new() for _ in range(COUNT)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(
        [RecoveryCode(user=user, digest=_digest(user, plain(code))) for code in codes]
    )
    record(actor=actor, action="recovery_codes.renewed", target=user, codes=COUNT)
    return codes


@audited
def use(*, actor: Actor, user: User, given: str) -> bool:
    """Use a code up; of two that give the same one at once, one gets True."""
    used = RecoveryCode.objects.filter(
        user=user, digest=_digest(user, plain(given)), used_at=None
    ).update(used_at=timezone.now())
    if used:
        record(actor=actor, action="recovery_code.used", target=user, left=left(user))
    return used == 1


def left(user: User) -> int:
    """Return how many codes still work."""
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def plain(given: str) -> str:
    """Return a code as it is compared: without case, spaces and hyphens."""
    return given.casefold().translate(_MEANT)


def _new() -> str:
    text = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def _digest(user: User, code: str) -> str:
    secret = settings.KEYRING.ensure(PEPPER)
    return crypto.keyed_digest(secret, f"recovery\0{user.pk}\0{code}").hex()
