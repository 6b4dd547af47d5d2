"""The ring of signing keys: a key is published before it signs and trusted after it signed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import IntegrityError, transaction
from django.utils import timezone
from jwt.algorithms import RSAAlgorithm

from accounts.engine.tokens import ACCESS_SECONDS, ALGORITHM, LEEWAY_SECONDS
from accounts.models import AccessChange, SigningKey
from accounts.selectors import access, signing
from accounts.services.revocation import tell
from audit.services.acts import audited
from audit.services.records import record
from core.actors import SYSTEM
from core.errors import InvalidTransitionError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from accounts.selectors.signing import Signer
    from core.actors import Actor

State = SigningKey.State

LIFETIME: Final = timedelta(days=90)
PUBLISHED_BEFORE: Final = timedelta(minutes=10)
"""So long a key stands in the key set before it signs; caches hold the set for 5 minutes."""
_TRUSTED_AFTER: Final = timedelta(seconds=ACCESS_SECONDS + 2 * LEEWAY_SECONDS)
_BITS: Final = 2048
_KID_LETTERS: Final = 24


@dataclass(frozen=True, slots=True)
class _Fresh:
    kid: str
    public_jwk: dict[str, Any]
    private_pem: str


def signer() -> Signer:
    """Return the key that signs; the first one is made when it is first needed.

    Raises UnavailableError while nobody can know which keys were revoked.
    """
    access.fresh()
    found = signing.signer()
    if found is None:
        make_first(actor=SYSTEM)
        found = signing.signer()
    if found is None:
        message = "There is no key to sign with just now. Try again in some seconds."
        raise UnavailableError(message)
    return found


def make_first(*, actor: Actor) -> None:
    """Make the first active key; of processes that start at once, one does."""
    if SigningKey.objects.filter(state=State.ACTIVE).exists():
        return
    fresh = _fresh()
    try:
        _add(actor=actor, fresh=fresh, state=State.ACTIVE, sign_from=timezone.now())
    except IntegrityError:
        signing.forget()


def rotate(*, actor: Actor) -> str:
    """Stage the next key, which signs in ten minutes; nobody is signed out. Return its kid."""
    staged = SigningKey.objects.filter(state=State.STAGED).first()
    if staged is not None:
        message = f"The key {staged.kid} is staged already, and signs soon."
        raise InvalidTransitionError(message)
    fresh = _fresh()
    _add(
        actor=actor,
        fresh=fresh,
        state=State.STAGED,
        sign_from=timezone.now() + PUBLISHED_BEFORE,
    )
    return fresh.kid


def revoke(*, actor: Actor, kid: str, reason: str) -> None:
    """Revoke a key and all that it signed; another signs at once where it was the active one."""
    fresh = _fresh()
    _revoke(actor=actor, kid=kid, reason=reason, fresh=fresh)


@audited
def _revoke(*, actor: Actor, kid: str, reason: str, fresh: _Fresh) -> None:
    key = SigningKey.objects.select_for_update().filter(pk=kid).first()
    if key is None:
        message = "There is no such signing key."
        raise NotFoundError(message)
    if key.state == State.REVOKED:
        message = f"The key {kid} was revoked before."
        raise InvalidTransitionError(message)
    was = key.state
    SigningKey.objects.filter(pk=kid).update(
        state=State.REVOKED, private_pem=None, retire_at=timezone.now()
    )
    if was == State.ACTIVE:
        staged = SigningKey.objects.filter(state=State.STAGED)
        if not staged.update(state=State.ACTIVE, sign_from=timezone.now()):
            _add(actor=actor, fresh=fresh, state=State.ACTIVE, sign_from=timezone.now())
    tell(kind=AccessChange.Kind.SIGNING_KEY, value=kid, actor=actor, reason=reason)
    tell(kind=AccessChange.Kind.KEYS, value="", actor=actor)
    record(actor=actor, action="signing_key.revoked", target=key, reason=reason, state=was)


def keep_in_step(*, actor: Actor) -> None:
    """Move keys that are due: stage the next, let it sign, retire what no token needs any more."""
    now = timezone.now()
    active = SigningKey.objects.filter(state=State.ACTIVE).defer("private_pem").first()
    staged = SigningKey.objects.filter(state=State.STAGED).defer("private_pem").first()
    if active is None and staged is None:
        return
    if active is not None and staged is None and active.sign_from + LIFETIME <= now:
        rotate(actor=actor)
    elif staged is not None and staged.sign_from <= now:
        _promote(actor=actor, kid=staged.kid, now=now)
    if SigningKey.objects.filter(state=State.RETIRING, retire_at__lte=now).exists():
        _retire(actor=actor, now=now)


@audited
def _promote(*, actor: Actor, kid: str, now: datetime) -> None:
    SigningKey.objects.filter(state=State.ACTIVE).update(
        # It signs no more; without its private half nobody can make it.
        state=State.RETIRING,
        retire_at=now + _TRUSTED_AFTER,
        private_pem=None,
    )
    if not SigningKey.objects.filter(pk=kid, state=State.STAGED).update(
        state=State.ACTIVE, sign_from=now
    ):
        # Another process was quicker, or somebody revoked it: the old one must go on signing.
        message = "The staged key is no longer staged."
        raise InvalidTransitionError(message)
    tell(kind=AccessChange.Kind.KEYS, value="", actor=actor)
    record(
        actor=actor,
        action="signing_key.promoted",
        target=SigningKey.objects.defer("private_pem").get(pk=kid),
    )


@audited
def _retire(*, actor: Actor, now: datetime) -> None:
    due = SigningKey.objects.filter(state=State.RETIRING, retire_at__lte=now)
    for key in [*due.defer("private_pem")]:
        if SigningKey.objects.filter(pk=key.pk, state=State.RETIRING).update(
            state=State.RETIRED, private_pem=None
        ):
            record(actor=actor, action="signing_key.retired", target=key)
    tell(kind=AccessChange.Kind.KEYS, value="", actor=actor)


@audited
def _add(*, actor: Actor, fresh: _Fresh, state: SigningKey.State, sign_from: datetime) -> None:
    with transaction.atomic():
        key = SigningKey.objects.create(
            kid=fresh.kid,
            state=state,
            sign_from=sign_from,
            public_jwk=fresh.public_jwk,
            private_pem=fresh.private_pem,
        )
    tell(kind=AccessChange.Kind.KEYS, value="", actor=actor)
    record(actor=actor, action="signing_key.created", target=key, state=str(state))


def _fresh() -> _Fresh:
    # Before any transaction: making a key takes a tenth of a second.
    private = rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
    jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    public = {"kty": "RSA", "n": jwk["n"], "e": jwk["e"]}
    # The thumbprint of RFC 7638, shortened: a name, not a proof.
    thumb = hashlib.sha256(json.dumps(public, sort_keys=True, separators=(",", ":")).encode())
    kid = thumb.hexdigest()[:_KID_LETTERS]
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_jwk = {**public, "kid": kid, "use": "sig", "alg": ALGORITHM}
    return _Fresh(kid, public_jwk, pem.decode())
