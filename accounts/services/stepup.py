"""Before a dangerous act, the person proves once more who they are: at most five minutes ago."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from accounts.actors import APIKeyPrincipal, DashboardPrincipal, actor_for
from accounts.models import UserSession
from accounts.services import challenges, login, mfa, passkeys, sessions
from accounts.services.challenges import Kind
from audit.services.acts import audited
from audit.services.records import record
from core.errors import ForbiddenError, NotSignedInError, StepUpRequiredError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest
    from rest_framework.request import Request

    from accounts.engine.webauthn import Options, RelyingParty
    from accounts.models import User

SECONDS: Final = 300
ASKED: Final = (
    "This act needs a fresh proof that it is you. Confirm your identity, then repeat it; "
    "the proof holds for five minutes."
)


def require(request: HttpRequest | Request) -> None:
    """Raise StepUpRequiredError unless the person proved themselves within five minutes.

    Signing in counts. Keys of programs never do such acts: raises ForbiddenError.
    """
    principal: object = request.user
    if isinstance(principal, APIKeyPrincipal | DashboardPrincipal):
        message = "A key cannot do this. Sign in as a person."
        raise ForbiddenError(message)
    session = sessions.session_of(request)
    if session is None or not is_fresh(session):
        raise StepUpRequiredError(ASKED)


def is_fresh(session: UserSession) -> bool:
    """Tell whether the person proved themselves within five minutes."""
    last = max(session.created_at, session.reauth_at or session.created_at)
    return timezone.now() - last <= timedelta(seconds=SECONDS)


def ask(*, user: User, session: UserSession, rp: RelyingParty) -> tuple[str, Options] | None:
    """Return token and options for a proof by passkey, if the person has one for this host."""
    if not rp.is_usable or not mfa.status(user).passkeys:
        return None
    state, options = passkeys.ask(user_id=user.pk, rp=rp)
    token = challenges.issue(
        kind=Kind.REAUTH, user_id=user.pk, state={"webauthn": state}, session=session.pk
    )
    return token, options


def prove(
    *,
    user: User,
    session: UserSession,
    rp: RelyingParty,
    password: str = "",
    code: str = "",
    token: str = "",
    response: Mapping[str, Any] | None = None,
) -> None:
    """Accept the second factor of a person who has one, and the password of one who has none.

    Raises NotSignedInError, CodeRefusedError, TooManyError.
    """
    if response is not None:
        challenge = challenges.peek(token, Kind.REAUTH)
        if (
            challenge is None
            or challenge.user_id != user.pk
            or challenge.session != session.pk
            or not challenges.claim(challenge)
        ):
            message = "That took too long or was used. Try again."
            raise NotSignedInError(message)
        state = challenge.state["webauthn"]
        method = mfa.prove_by_passkey(user=user, rp=rp, state=state, response=response)
    elif mfa.status(user).enrolled:
        method = mfa.prove_by_code(user=user, given=code)
    else:
        login.confirm_password(user=user, password=password)
        method = "pwd"
    note(user=user, session=session, method=method)


@audited
def note(*, user: User, session: UserSession, method: str) -> None:
    """Write onto the session what the person has just proven, by a factor or by enrolling it."""
    now = timezone.now()
    methods = methods_of(session)
    values: dict[str, Any] = {"reauth_at": now}
    if method != "pwd":
        methods = [*methods, *(it for it in (method, "mfa") if it not in methods)]
        values |= {"mfa_at": now, "methods": ",".join(methods)}
    if UserSession.objects.filter(pk=session.pk, revoked_at=None).update(**values):
        for name, value in values.items():
            setattr(session, name, value)
        record(actor=actor_for(user), action="session.confirmed", target=session, method=method)


def methods_of(session: UserSession) -> list[str]:
    """Return how the person of a session has proven themselves."""
    return [method for method in session.methods.split(",") if method]
