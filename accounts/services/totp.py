"""Authenticator apps: added with a first code, each code accepted once."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils import timezone

from accounts.engine import totp
from accounts.models import TOTPDevice
from accounts.services import challenges
from accounts.services.challenges import Kind
from audit.services.acts import audited
from audit.services.records import record
from core import crypto
from core.errors import InvalidInputError, InvalidTransitionError
from core.fields import FIELD_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from accounts.models import User
    from core.actors import Actor

MOST: Final = 5
ISSUER: Final = "OpsPlatform"
_LONGEST_LABEL: Final = 60


def begin(*, user: User, session: UUID | None) -> tuple[str, bytes]:
    """Return a token and a new seed; nothing is kept until a code confirms it."""
    if TOTPDevice.objects.filter(user=user).count() >= MOST:
        message = f"{MOST} authenticator apps are enough; remove one first."
        raise InvalidInputError(message, errors={"label": [message]})
    device_id = uuid.uuid4()
    seed = totp.new_seed()
    state = {"device": str(device_id), "sealed": _seal(device_id, seed)}
    token = challenges.issue(kind=Kind.ENROL, user_id=user.pk, state=state, session=session)
    return token, seed


def seed_of(*, user: User, session: UUID | None, token: str) -> bytes:
    """Return the seed of a device that waits for its first code."""
    return _waiting(user, session, token)[1]


def confirm(
    *, actor: Actor, user: User, session: UUID | None, token: str, code: str, label: str = ""
) -> TOTPDevice:
    """Add the device once its first code is right; raises InvalidInputError for a wrong one."""
    challenge, seed = _waiting(user, session, token)
    step = totp.match(seed, code.replace(" ", ""), time.time())
    if step is None:
        message = "That code is not the present one. Check that the clock of your device is right."
        raise InvalidInputError(message, errors={"code": [message]})
    if not challenges.claim(challenge):
        raise _over()
    return _add(actor=actor, user=user, state=challenge.state, label=label.strip(), step=step)


def verify(*, user: User, code: str) -> bool:
    """Accept a code once: the same code, or an older one, is refused afterwards."""
    accepted = False
    now = time.time()
    for device in TOTPDevice.objects.filter(user=user).exclude(confirmed_at=None):
        step = totp.match(_unseal(device.pk, device.sealed_seed), code, now)
        if step is not None and not accepted:
            accepted = bool(
                TOTPDevice.objects.filter(pk=device.pk, last_step__lt=step).update(
                    last_step=step, last_used_at=timezone.now()
                )
            )
    return accepted


@audited
def _add(
    *, actor: Actor, user: User, state: Mapping[str, str], label: str, step: int
) -> TOTPDevice:
    device = TOTPDevice(
        id=uuid.UUID(state["device"]),
        user=user,
        label=label[:_LONGEST_LABEL] or "Authenticator app",
        sealed_seed=state["sealed"],
        last_step=step,
        confirmed_at=timezone.now(),
    )
    device.save(force_insert=True)
    record(actor=actor, action="authenticator.added", target=user, label=device.label)
    return device


def _waiting(user: User, session: UUID | None, token: str) -> tuple[challenges.Challenge, bytes]:
    challenge = challenges.peek(token, Kind.ENROL)
    if challenge is None or challenge.user_id != user.pk or challenge.session != session:
        raise _over()
    if "sealed" not in challenge.state:
        raise _over()
    device_id = uuid.UUID(challenge.state["device"])
    return challenge, _unseal(device_id, challenge.state["sealed"])


def _over() -> InvalidTransitionError:
    message = "This set-up has expired or was used. Begin again."
    return InvalidTransitionError(message)


def _context(device_id: UUID) -> str:
    # Bound to the row: a seed copied to another person's row does not open there.
    return f"accounts.totpdevice.seed:{device_id}"


def _seal(device_id: UUID, seed: bytes) -> str:
    return crypto.seal(settings.KEYRING.ensure(FIELD_KEY), seed, context=_context(device_id))


def _unseal(device_id: UUID, sealed: str) -> bytes:
    secrets = settings.KEYRING.all_valid(FIELD_KEY)
    return crypto.unseal(secrets, sealed, context=_context(device_id))
