"""The second factors of a person together: what they have, proving one, taking them away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from accounts import signals
from accounts.actors import actor_for
from accounts.engine import totp as codes
from accounts.models import Passkey, RecoveryCode, TOTPDevice, User
from accounts.selectors import access
from accounts.services import lockout, passkeys, recovery, revocation, totp
from audit.services.acts import audited
from audit.services.records import record, record_refusal
from core.errors import DomainError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from accounts.engine.webauthn import RelyingParty
    from core.actors import Actor

_LONGEST_CODE: Final = 64
_LONGEST_LABEL: Final = 60


class CodeRefusedError(DomainError):
    """The second factor was not proven."""

    code = "mfa-refused"
    status = 401
    title = "Unauthorized"


@dataclass(frozen=True, slots=True)
class MfaStatus:
    """What second factors a person has."""

    totp: int
    passkeys: int
    recovery_left: int
    required: bool

    @property
    def enrolled(self) -> bool:
        """Whether the person must prove a second factor."""
        return bool(self.totp or self.passkeys)

    @property
    def methods(self) -> list[str]:
        """Return by what the person can prove themselves."""
        found = []
        if self.passkeys:
            found.append("passkey")
        if self.totp:
            found.append("otp")
        if self.recovery_left:
            found.append("recovery")
        return found


def status(user: User) -> MfaStatus:
    """Return what second factors a person has; three queries."""
    known = access.snapshot(user.pk)
    return MfaStatus(
        totp=TOTPDevice.objects.filter(user=user).exclude(confirmed_at=None).count(),
        passkeys=Passkey.objects.filter(user=user).count(),
        recovery_left=recovery.left(user),
        required=known is not None and known.mfa_required,
    )


def prove_by_code(*, user: User, given: str) -> str:
    """Accept a code of an app or a recovery code; return the method.

    Raises CodeRefusedError, or TooManyError after five wrong ones or fifty in a day.
    """
    ticket = lockout.reserve_second_factor(user.pk, name=user.username)
    shown = given[:_LONGEST_CODE].replace(" ", "").strip()
    if codes.is_code(shown):
        method = "otp" if totp.verify(user=user, code=shown) else ""
    else:
        right = recovery.use(actor=actor_for(user), user=user, given=given[:_LONGEST_CODE])
        method = "recovery" if right else ""
    if method:
        lockout.right(ticket)
        return method
    lockout.wrong(ticket)
    raise _refused(user, "That code did not work. Wait for the next one, or use another.")


def prove_by_passkey(
    *, user: User, rp: RelyingParty, state: Mapping[str, str], response: Mapping[str, Any]
) -> str:
    """Accept a passkey of this person; return the method. Raises as `prove_by_code`."""
    ticket = lockout.reserve_second_factor(user.pk, name=user.username)
    proof = passkeys.prove(user_id=user.pk, rp=rp, state=state, response=response)
    if proof is not None:
        lockout.right(ticket)
        return "hwk"
    lockout.wrong(ticket)
    raise _refused(user, "The passkey was not accepted. Try again, or use another factor.")


def codes_after_first(*, actor: Actor, user: User) -> list[str]:
    """Return new recovery codes when a person has factors and no codes yet, else nothing."""
    if RecoveryCode.objects.filter(user=user).exists():
        return []
    return recovery.renew(actor=actor, user=user)


@audited
def rename(*, actor: Actor, user: User, device_id: UUID, label: str) -> None:
    """Give a passkey or an app another name."""
    label = label.strip()
    if not 0 < len(label) <= _LONGEST_LABEL or "\0" in label:
        message = f"A name has 1 to {_LONGEST_LABEL} characters."
        raise InvalidInputError(message, errors={"label": [message]})
    device = device_of(user, device_id)
    before = device.label
    device.label = label
    device.save(update_fields=["label"])
    record(
        actor=actor,
        action="second_factor.renamed",
        target=user,
        before={"label": before},
        after={"label": label},
    )


@audited
def remove(*, actor: Actor, user: User, device_id: UUID, keep: UUID | None = None) -> None:
    """Take away a passkey or an app; other sessions end, and the last one takes the codes along.

    A person whose role asks for a second factor keeps one.
    """
    # Two removals at once must not take the last one away together.
    User.objects.select_for_update().get(pk=user.pk)
    device = device_of(user, device_id)
    now = status(user)
    is_last = now.totp + now.passkeys == 1
    if is_last and now.required:
        message = "Your role asks for a second factor. Add another one before you remove this."
        raise InvalidInputError(message)
    label = device.label
    device.delete()
    if is_last:
        RecoveryCode.objects.filter(user=user).delete()
    record(actor=actor, action="second_factor.removed", target=user, label=label)
    reason = "A second factor was removed."
    revocation.end_all(actor=actor, user_id=user.pk, reason=reason, keep=keep)
    _tell_removed(actor, user, label)


@audited
def reset(*, actor: Actor, user_id: UUID) -> None:
    """Take all second factors of a person away, for one who lost them; their sessions end."""
    user = User.objects.select_for_update().get(pk=user_id)
    before = status(user)
    TOTPDevice.objects.filter(user=user).delete()
    Passkey.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    record(
        actor=actor,
        action="second_factor.reset",
        target=user,
        before={"apps": before.totp, "passkeys": before.passkeys},
        after={"apps": 0, "passkeys": 0},
    )
    reason = "The second factors were removed by an admin."
    revocation.end_all(actor=actor, user_id=user.pk, reason=reason)
    _tell_removed(actor, user, "all second factors")


reset_mfa = reset


def device_of(user: User, device_id: UUID) -> TOTPDevice | Passkey:
    """Return a factor of this person; raises NotFoundError."""
    found = (
        TOTPDevice.objects.filter(user=user, pk=device_id).exclude(confirmed_at=None).first()
        or Passkey.objects.filter(user=user, pk=device_id).first()
    )
    if found is None:
        message = "There is no such second factor."
        raise NotFoundError(message)
    return found


def _refused(user: User, message: str) -> CodeRefusedError:
    record_refusal(
        actor=actor_for(user),
        action="second_factor.refused",
        reason="A wrong code or passkey.",
        username=user.username,
    )
    return CodeRefusedError(message)


def _tell_removed(actor: Actor, user: User, what: str) -> None:
    signals.tell(signals.mfa_removed, user_id=user.pk, name=user.username, by=actor.name, what=what)
