"""Passkeys: added by a person who is signed in, and proven at signing in."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import signals
from accounts.actors import actor_for
from accounts.engine import webauthn
from accounts.engine.webauthn import WebAuthnError
from accounts.models import Passkey
from accounts.services import challenges
from accounts.services.challenges import Kind
from audit.services.acts import audited
from audit.services.records import record, record_refusal
from core.errors import InvalidInputError, InvalidTransitionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from django.http import HttpRequest
    from rest_framework.request import Request

    from accounts.engine.webauthn import Options, RelyingParty, State
    from accounts.models import User
    from core.actors import Actor

MOST: Final = 20
_LONGEST_LABEL: Final = 60
_TRANSPORTS: Final = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal", "cable"})


@dataclass(frozen=True, slots=True)
class Proof:
    """A passkey that has proven itself."""

    user_id: UUID
    user_verified: bool
    """Whether the authenticator asked for a PIN or a finger, so that it stands for two factors."""


def party_of(request: HttpRequest | Request) -> RelyingParty:
    """Return the host that passkeys of this request belong to; Django has judged the host."""
    return webauthn.party(f"{request.scheme}://{request.get_host()}")


def refuse_unusable(rp: RelyingParty) -> None:
    """Refuse hosts for which no browser makes passkeys, and say what to do."""
    if not rp.is_usable:
        message = (
            "Passkeys need a host name, and https unless it is localhost. Open the console by its "
            "name instead of an address; on the machine itself that is localhost."
        )
        raise InvalidInputError(message)


def begin(*, user: User, session: UUID | None, rp: RelyingParty) -> tuple[str, Options]:
    """Return a token, and what the browser needs to make a passkey."""
    refuse_unusable(rp)
    known = list(Passkey.objects.filter(user=user).values_list("credential_id", flat=True))
    if len(known) >= MOST:
        message = f"{MOST} passkeys are enough; remove one first."
        raise InvalidInputError(message)
    state, options = webauthn.ask_to_register(
        rp, user_id=user.pk.bytes, name=user.username, known=[_bytes(key) for key in known]
    )
    token = challenges.issue(
        kind=Kind.ENROL, user_id=user.pk, state={"webauthn": state}, session=session
    )
    return token, options


def finish(
    *,
    actor: Actor,
    user: User,
    session: UUID | None,
    rp: RelyingParty,
    token: str,
    response: Mapping[str, Any],
    label: str = "",
) -> Passkey:
    """Keep the passkey that the browser made; its challenge is used up either way."""
    challenge = challenges.peek(token, Kind.ENROL)
    if (
        challenge is None
        or challenge.user_id != user.pk
        or challenge.session != session
        or "webauthn" not in challenge.state
        or not challenges.claim(challenge)
    ):
        message = "This set-up has expired or was used. Begin again."
        raise InvalidTransitionError(message)
    try:
        made = webauthn.judge_registration(rp, challenge.state["webauthn"], response)
    except WebAuthnError:
        message = "The browser's answer does not fit what was asked. Begin again."
        raise InvalidInputError(message, errors={"response": [message]}) from None
    return _add(
        actor=actor,
        user=user,
        made=made,
        label=label.strip()[:_LONGEST_LABEL],
        transports=_transports(response),
    )


def ask(*, user_id: UUID | None, rp: RelyingParty) -> tuple[State, Options]:
    """Return state and options for a proof by one person, or by whoever holds a passkey.

    Without a person, the authenticator must verify its user: it then stands for two factors.
    """
    known = None
    if user_id is not None:
        rows = Passkey.objects.filter(user_id=user_id).values_list("credential_id", flat=True)
        known = [_bytes(key) for key in rows]
    return webauthn.ask_to_prove(rp, known=known, must_verify=user_id is None)


def prove(
    *, user_id: UUID | None, rp: RelyingParty, state: Mapping[str, str], response: Mapping[str, Any]
) -> Proof | None:
    """Judge a proof; None means that it proves nothing. A counter that fell is told to people."""
    try:
        credential_id = _text(webauthn.credential_id_of(response))
        passkey = (
            Passkey.objects.select_related("user")
            .filter(Q() if user_id is None else Q(user_id=user_id), credential_id=credential_id)
            .first()
        )
        if passkey is None:
            return None
        found = webauthn.judge_proof(rp, state, response, credential=bytes(passkey.credential))
    except WebAuthnError:
        return None
    # An authenticator that counts never shows the same number twice; many always show 0.
    higher = Q(sign_count=0) if found.sign_count == 0 else Q(sign_count__lt=found.sign_count)
    counted = Passkey.objects.filter(higher, pk=passkey.pk).update(
        sign_count=found.sign_count, last_used_at=timezone.now()
    )
    if not counted:
        _tell_copy(passkey)
        return None
    return Proof(passkey.user_id, found.user_verified)


@audited
def _add(
    *,
    actor: Actor,
    user: User,
    made: webauthn.Credential,
    label: str,
    transports: Sequence[str],
) -> Passkey:
    passkey = Passkey(
        user=user,
        credential_id=_text(made.credential_id),
        credential=made.data,
        sign_count=made.sign_count,
        transports=list(transports),
        label=label or f"Passkey {Passkey.objects.filter(user=user).count() + 1}",
    )
    try:
        with transaction.atomic():
            passkey.save(force_insert=True)
    except IntegrityError:
        message = "This passkey is known already. Use another authenticator."
        raise InvalidInputError(message, errors={"response": [message]}) from None
    record(actor=actor, action="passkey.added", target=user, label=passkey.label)
    return passkey


def _tell_copy(passkey: Passkey) -> None:
    user = passkey.user
    record_refusal(
        actor=actor_for(user),
        action="passkey.refused",
        reason="Its counter fell: somebody may hold a copy of it.",
        label=passkey.label,
        username=user.username,
    )
    signals.tell(signals.passkey_cloned, user_id=user.pk, name=user.username, label=passkey.label)


def _transports(response: Mapping[str, Any]) -> list[str]:
    inner = response.get("response")
    given = inner.get("transports") if isinstance(inner, dict) else None
    return sorted(_TRANSPORTS & {str(it) for it in given}) if isinstance(given, list) else []


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
