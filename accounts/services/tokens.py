"""Tokens of programs: made at the sign-in, exchanged, ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import F, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import signals
from accounts.actors import actor_for
from accounts.engine import refresh as chain
from accounts.engine import tokens
from accounts.engine.tokens import ACCESS_SECONDS, Claims
from accounts.models import Installation, UserSession
from accounts.selectors import access, signing
from accounts.selectors.sign_ins import API_IDLE
from accounts.services.revocation import end_session, end_token
from accounts.services.signing_keys import signer
from audit.services.acts import audited, unwatched
from audit.services.records import record
from core import tracing
from core.errors import InvalidInputError, NotFoundError, NotSignedInError

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.selectors.signing import Signer
    from core.actors import Actor

_PEPPER: Final = "REFRESH_PEPPER"
_REFUSED: Final = "Sign in again."


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a program gets when it signs in or refreshes."""

    access: str
    refresh: str
    expires_in: int
    session: UserSession


def first(session_id: UUID) -> chain.RefreshToken:
    """Return the first refresh token of a session."""
    return chain.first(settings.KEYRING.ensure(_PEPPER), session_id)


def issue(
    session: UserSession, *, epoch: str, key: Signer, refresh_token: chain.RefreshToken
) -> Tokens:
    """Return the refresh token and an access token beside it, which ends with the session."""
    now = int(time.time())
    expires_at = min(now + ACCESS_SECONDS, int(session.expires_at.timestamp()))
    claims = Claims(
        user_id=session.user_id,
        sid=session.pk.hex,
        jti=uuid4().hex,
        kid=key.kid,
        epoch=epoch,
        methods=tuple(method for method in session.methods.split(",") if method),
        issued_at=now,
        not_before=now,
        expires_at=expires_at,
    )
    signed = tokens.sign(claims, issuer=signing.issuer(), key=key.key)
    return Tokens(signed, refresh_token.text, expires_at - now, session)


def refresh(text: str) -> Tokens:
    """Exchange a refresh token for the next one and an access token.

    The one before the current one gives the same answer for ten seconds: two tabs, or an answer
    that was lost. An older one was stolen, or what came after it: its session ends. A forged one
    changes nothing. Raises NotSignedInError, and UnavailableError while nobody can know.
    """
    token = chain.parse(text, _peppers())
    if token is None:
        raise NotSignedInError(_REFUSED)
    access.fresh()
    now = timezone.now()
    child = token.child()
    alive = Q(pk=token.session_id, kind=UserSession.Kind.API, revoked_at=None) & Q(
        expires_at__gt=now, last_seen_at__gt=now - API_IDLE, user__is_active=True
    )
    with unwatched("a session turns its token at each exchange; its beginning and end are records"):
        turned = UserSession.objects.filter(
            alive, refresh_generation=token.generation, refresh_digest=token.digest
        ).update(
            refresh_generation=child.generation,
            refresh_digest=child.digest,
            refresh_previous_digest=token.digest,
            rotated_at=now,
            last_seen_at=now,
            last_address=tracing.current().address or None,
        )
    # One statement: whoever ends everything meanwhile comes before all of it or after all of it.
    generation = Subquery(Installation.objects.filter(pk=1).values("generation")[:1])
    session = (
        UserSession.objects.select_related("user")
        .filter(alive)
        .annotate(generation=Coalesce(generation, 1), epoch=F("user__epoch"))
        .first()
    )
    if session is None:
        raise NotSignedInError(_REFUSED)
    if not turned and not _is_replay(session, token, child, now):
        _answer_reuse(session, token)
        raise NotSignedInError(_REFUSED)
    epoch = f"{session.generation}.{session.epoch}"
    return issue(session, epoch=epoch, key=signer(), refresh_token=child)


@audited
def revoke(
    *,
    actor: Actor,
    reason: str,
    token: str = "",
    jti: str = "",
    session_id: UUID | None = None,
) -> None:
    """End one access token or one session; raises InvalidInputError, NotFoundError.

    A refresh token ends its session, for the session is what it could be exchanged in.
    """
    if token.startswith("opsr_"):
        parsed = chain.parse(token, _peppers())
        session_id = parsed.session_id if parsed is not None else None
    elif token:
        try:
            jti = tokens.read(
                token, issuer=signing.issuer(), key_of=signing.key_of, now=time.time()
            ).jti
        except tokens.InvalidTokenError:
            message = "That is no token that holds."
            raise InvalidInputError(message, errors={"token": [message]}) from None
    if jti:
        end_token(actor=actor, jti=jti, reason=reason)
        return
    session = None
    if session_id is not None:
        session = UserSession.objects.filter(pk=session_id).first()
    if session is None:
        message = "There is no such session."
        raise NotFoundError(message)
    end_session(actor=actor, session=session, reason=reason)


def _is_replay(
    session: UserSession, token: chain.RefreshToken, child: chain.RefreshToken, now: datetime
) -> bool:
    return (
        session.refresh_generation == child.generation
        and session.refresh_previous_digest == token.digest
        and session.refresh_digest == child.digest
        and session.rotated_at is not None
        and now - session.rotated_at <= timedelta(seconds=chain.REPLAY_SECONDS)
    )


def _answer_reuse(session: UserSession, token: chain.RefreshToken) -> None:
    if token.generation > session.refresh_generation:
        # The database is older than the token, as after a restore: nobody has misused anything.
        return
    _end_reused(actor=actor_for(session.user), session=session, token=token)


@audited
def _end_reused(*, actor: Actor, session: UserSession, token: chain.RefreshToken) -> None:
    if end_session(actor=actor, session=session, reason="A refresh token was used twice."):
        record(
            actor=actor,
            action="refresh_token.reused",
            target=session,
            reason="A refresh token came back that had been exchanged before.",
            generation=token.generation,
            current=session.refresh_generation,
        )
        signals.tell(
            signals.refresh_reused,
            user_id=session.user_id,
            name=session.user.username,
            session=str(session.pk),
            address=tracing.current().address,
        )


def _peppers() -> list[str]:
    settings.KEYRING.ensure(_PEPPER)
    found: list[str] = settings.KEYRING.all_valid(_PEPPER)
    return found
