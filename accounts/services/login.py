"""Signing in: the one state machine behind the API, the console and the second step.

Address, then reserve the attempt, then the hash, then the second factor. The door that asked makes
the session out of what comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from django.utils import timezone

from accounts import signals
from accounts.actors import actor_for
from accounts.models import User
from accounts.selectors import access
from accounts.services import challenges, devices, lockout, mfa, networks, passkeys, passwords
from accounts.services.challenges import Kind
from audit.services.records import record_refusal
from core import tracing
from core.actors import ANONYMOUS
from core.errors import BusyError, DomainError, InvalidInputError, NotSignedInError, TooManyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from accounts.engine.webauthn import Options, RelyingParty

Place = Literal["console", "login"]

LONGEST_NAME: Final = 150
WRONG: Final = (
    "That did not work. Check the username and the password. In the password, upper and lower case "
    "differ."
)
_OVER: Final = "The sign-in took too long or was used. Begin again."
_LOCKED: Final = "Too many failed attempts."
_PASSKEY_WRONG: Final = "That passkey is not known here, or was not accepted."


class MfaRequiredError(DomainError):
    """The password was right; the second factor is still to be proven."""

    code = "mfa-required"
    status = 401
    title = "Second factor required"

    def __init__(self, needed: ChallengeNeeded) -> None:
        super().__init__("Prove your second factor at /api/auth/mfa with this token.")
        self._needed = needed

    def members(self) -> Mapping[str, object]:
        """Return what the second step needs."""
        told: dict[str, object] = {
            "mfa_token": self._needed.token,
            "methods": list(self._needed.methods),
            "expires_in": challenges.SECONDS,
        }
        if self._needed.passkey is not None:
            told["passkey"] = self._needed.passkey
        return told


class PasswordExpiredError(DomainError):
    """The one-time password was right, and too old."""

    code = "password-expired"
    status = 401
    title = "One-time password expired"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who has proven themselves, and how; the door makes the session."""

    user: User
    methods: tuple[str, ...]
    mfa_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChallengeNeeded:
    """The password was right; this token and a second factor go on from here."""

    token: str
    methods: tuple[str, ...]
    passkey: Options | None = field(default=None)


def attempt(
    *,
    username: str,
    password: str,
    place: Place,
    rp: RelyingParty,
    otp: str = "",
    device: str = "",
) -> SignedIn | ChallengeNeeded:
    """Judge a name and a password, and a code if one came along.

    `device` is the browser's cookie. Raises NotSignedInError, with one text whatever was wrong;
    TooManyError when nothing is judged for now; BusyError; AddressRefusedError;
    PasswordExpiredError; CodeRefusedError.
    """
    name = _readable(username, password)
    access.fresh()
    address = tracing.current().address
    networks.refuse_address(place=place, snapshot=None, address=address)
    user = User.objects.filter(username=name).first()
    # A name that nobody has may be a password in the wrong field.
    told = name if user is not None else "unknown"
    try:
        ticket = lockout.reserve_password(
            name,
            device=devices.known(device, name, epoch=user.epoch if user is not None else 0),
            name=name if user is not None else "",
        )
    except TooManyError:
        _record_refused(_LOCKED, told, place, tried=name)
        raise
    try:
        right = passwords.is_right(user, password)
    except BusyError:
        lockout.give_back(ticket)
        raise
    if user is None or not right:
        lockout.wrong(ticket)
        _record_refused("Wrong name or password.", told, place, tried=name)
        raise NotSignedInError(WRONG)
    lockout.right(ticket)
    _refuse_late(user, place)
    status = mfa.status(user)
    if not status.enrolled:
        return _complete(user, ("pwd",), device)
    if otp:
        method = mfa.prove_by_code(user=user, given=otp)
        return _complete(user, ("pwd", method, "mfa"), device)
    return _ask(user, status, rp, place)


def second_step(
    *,
    token: str,
    rp: RelyingParty,
    place: Place,
    code: str = "",
    response: Mapping[str, Any] | None = None,
    device: str = "",
) -> SignedIn:
    """Judge the second factor of somebody whose password was right.

    A wrong code may be corrected while the token lives; a passkey's answer uses it up.
    """
    access.fresh()
    challenge = challenges.peek(token, Kind.MFA)
    user = None
    if challenge is not None and challenge.user_id is not None:
        user = User.objects.filter(pk=challenge.user_id, is_active=True).first()
    # Whoever was disabled, signed out everywhere or got another password meanwhile begins again.
    if challenge is None or user is None or challenge.state["mark"] != _mark_of(user):
        raise NotSignedInError(_OVER)
    if not devices.known(device, user.username, epoch=user.epoch):
        _refuse_locked_address(user, place)
    _refuse_late(user, place)
    if response is not None:
        state = challenge.state.get("webauthn")
        if state is None or not challenges.claim(challenge):
            raise NotSignedInError(_OVER)
        method = mfa.prove_by_passkey(user=user, rp=rp, state=state, response=response)
    else:
        method = mfa.prove_by_code(user=user, given=code)
        if not challenges.claim(challenge):
            raise NotSignedInError(_OVER)
    return _complete(user, ("pwd", method, "mfa"), device)


def waiting(token: str) -> tuple[User, mfa.MfaStatus, Options | None] | None:
    """Return who is in the second step with this token, and by what they can go on."""
    challenge = challenges.peek(token, Kind.MFA)
    if challenge is None or challenge.user_id is None:
        return None
    user = User.objects.filter(pk=challenge.user_id).first()
    if user is None:
        return None
    return user, mfa.status(user), challenge.state.get("options")


def begin_by_passkey(*, rp: RelyingParty, place: Place) -> tuple[str, Options]:
    """Return token and options for signing in by a passkey alone."""
    passkeys.refuse_unusable(rp)
    access.fresh()
    networks.refuse_address(place=place, snapshot=None, address=tracing.current().address)
    lockout.refuse_locked_address()
    state, options = passkeys.ask(user_id=None, rp=rp)
    # Nothing is stored for whoever only asks: that could be anybody, any number of times.
    return challenges.sign(kind=Kind.PASSKEY, state=state), options


def by_passkey(
    *,
    token: str,
    response: Mapping[str, Any],
    rp: RelyingParty,
    place: Place,
    device: str = "",
) -> SignedIn:
    """Sign in whoever holds a passkey that has verified its user: that is two factors."""
    access.fresh()
    lockout.refuse_locked_address()
    state = challenges.read_signed(token, Kind.PASSKEY)
    if state is None or not challenges.claim_signed(token, Kind.PASSKEY):
        raise NotSignedInError(_OVER)
    proof = passkeys.prove(user_id=None, rp=rp, state=state, response=response)
    user = None
    if proof is not None and proof.user_verified:
        user = User.objects.filter(pk=proof.user_id, is_active=True).first()
    if user is None:
        lockout.wrong_without_name()
        _record_refused("A passkey that is not known or was not accepted.", "unknown", place)
        raise NotSignedInError(_PASSKEY_WRONG)
    _refuse_late(user, place)
    return _complete(user, ("hwk", "user", "mfa"), device)


def confirm_password(*, user: User, password: str) -> None:
    """Make sure that the person who is signed in knows the password; wrong ones are counted.

    Raises NotSignedInError, TooManyError, BusyError.
    """
    passwords.refuse_unreadable(password)
    ticket = lockout.reserve_again(user.pk, name=user.username)
    try:
        right = passwords.is_right(user, password)
    except BusyError:
        lockout.give_back(ticket)
        raise
    if right:
        lockout.right(ticket)
        return
    lockout.wrong(ticket)
    record_refusal(
        actor=actor_for(user),
        action="password.refused",
        reason="A wrong password.",
        username=user.username,
    )
    message = "That is not your password."
    raise NotSignedInError(message)


def _readable(username: str, password: str) -> str:
    passwords.refuse_unreadable(password)
    passwords.refuse_unreadable(username, field="username")
    name = User.normalize_username(username[: LONGEST_NAME + 1])
    if not username or len(name) > LONGEST_NAME:
        message = f"A username has 1 to {LONGEST_NAME} characters."
        raise InvalidInputError(message, errors={"username": [message]})
    if not password:
        message = "Both are needed."
        raise InvalidInputError(message, errors={"password": [message]})
    return name


def _refuse_late(user: User, place: Place) -> None:
    """Refuse somebody whose password was right: from elsewhere, or with one that ran out."""
    known = access.snapshot(user.pk)
    address = tracing.current().address
    try:
        networks.refuse_address(place=place, snapshot=known, address=address)
        if user.password_expires_at is not None and user.password_expires_at <= timezone.now():
            message = (
                "This one-time password has expired. Ask an admin for another, or run on the "
                "machine: manage.py reset_password NAME"
            )
            raise PasswordExpiredError(message)
    except DomainError as error:
        _record_refused(error.title, user.username, place)
        raise


def _ask(user: User, status: mfa.MfaStatus, rp: RelyingParty, place: Place) -> ChallengeNeeded:
    state: dict[str, Any] = {"mark": _mark_of(user), "place": place}
    options = None
    if status.passkeys and rp.is_usable:
        state["webauthn"], options = passkeys.ask(user_id=user.pk, rp=rp)
        state["options"] = options
    token = challenges.issue(kind=Kind.MFA, user_id=user.pk, state=state)
    # Where no browser makes passkeys, none can be asked for.
    usable = (it for it in status.methods if it != "passkey" or options is not None)
    return ChallengeNeeded(token, tuple(usable), options)


def _mark_of(user: User) -> str:
    """Return what changes with the password, and when all sign-ins of a person end."""
    return f"{user.epoch}.{user.get_session_auth_hash()}"


def _complete(user: User, methods: Sequence[str], device: str) -> SignedIn:
    name = user.username
    keys = [lockout.account_key(name), lockout.second_factor_key(user.pk)]
    if browser := devices.known(device, name, epoch=user.epoch):
        keys.append(lockout.device_key(browser, name))
    lockout.clear(keys)
    if user.is_superuser:
        signals.tell(
            signals.superuser_signed_in,
            user_id=user.pk,
            name=name,
            address=tracing.current().address,
        )
    proven = timezone.now() if "mfa" in methods else None
    return SignedIn(user, tuple(methods), proven)


def _refuse_locked_address(user: User, place: Place) -> None:
    try:
        lockout.refuse_locked_address()
    except TooManyError:
        _record_refused(_LOCKED, user.username, place, tried=user.username)
        raise


def _record_refused(reason: str, username: str, place: Place, *, tried: str = "") -> None:
    # The mark tells unknown names apart, so that repeats of each are counted as those of a known
    # one: the work of the database must not tell which is which.
    marks: dict[str, Any] = {"tried": lockout.mark_of(tried)} if tried else {}
    record_refusal(
        actor=ANONYMOUS,
        action="session.refused",
        reason=reason,
        username=username,
        place=place,
        **marks,
    )
