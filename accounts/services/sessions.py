"""Sessions: of browsers and of programs, from the sign-in to the end."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import update_last_login
from django.db.models import Q
from django.utils import timezone

from accounts import signals
from accounts.actors import PersonPrincipal, actor_for
from accounts.engine import refresh as chain
from accounts.engine import tokens
from accounts.engine.cookies import digest_of
from accounts.engine.tokens import ACCESS_SECONDS, Claims
from accounts.models import Installation, User, UserSession
from accounts.selectors import signing
from accounts.services.revocation import clear_old, end_session, end_token
from accounts.services.signing_keys import signer
from audit.services.acts import audited
from audit.services.records import record
from core import tracing
from core.errors import InvalidInputError, NotFoundError, NotSignedInError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest
    from rest_framework.request import Request

    from core.actors import Actor

SID: Final = "sid"
EPOCH: Final = "ep"
METHODS: Final = "methods"
UNTIL: Final = "until"
SEEN: Final = "seen"
"""What the console's session holds: whose it is stands in the database under its id."""

API_IDLE: Final = timedelta(hours=12)
CONSOLE_IDLE: Final = timedelta(minutes=30)
SEEN_SECONDS: Final = 60
_LISTED_DAYS: Final = 90
_PEPPER: Final = "REFRESH_PEPPER"
_REFUSED: Final = "Sign in again."


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a program gets when it signs in or refreshes."""

    access: str
    refresh: str
    expires_in: int
    session: UserSession


@audited
def begin_web(
    *,
    request: HttpRequest,
    user: User,
    methods: Sequence[str] = ("pwd",),
    mfa_at: datetime | None = None,
) -> UserSession:
    """Give a browser that has just signed in a session that can be listed and ended."""
    epoch = _lock_epoch(user)
    now = timezone.now()
    expires = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    # A sign-in over a sign-in: Django keeps the cookie's session when it is the same person.
    replaced = request.session.get(SID)
    if replaced:
        _replace(user, UUID(replaced))
    sid = uuid4()
    request.session[SID] = str(sid)
    request.session[EPOCH] = epoch
    request.session[METHODS] = [*methods]
    request.session[UNTIL] = int(expires.timestamp())
    request.session[SEEN] = int(now.timestamp())
    if request.session.session_key is None:
        request.session.create()
    session = _begin(
        user,
        UserSession(
            pk=sid,
            kind=UserSession.Kind.WEB,
            session_key=digest_of(request.session.session_key or ""),
            expires_at=expires,
        ),
        methods,
        mfa_at,
    )
    request.session.save()
    return session


@audited
def begin_api(
    *,
    user: User,
    methods: Sequence[str] = ("pwd",),
    mfa_at: datetime | None = None,
    device: str = "",
) -> Tokens:
    """Begin a session of a program; return its tokens, which are stored nowhere."""
    key = signer()
    epoch = _lock_epoch(user)
    sid = uuid4()
    token = chain.first(settings.KEYRING.ensure(_PEPPER), sid)
    session = _begin(
        user,
        UserSession(
            pk=sid,
            kind=UserSession.Kind.API,
            device=device[:100],
            expires_at=timezone.now() + timedelta(hours=settings.OPS_SESSION_HOURS),
            refresh_digest=token.digest,
            refresh_pepper_id=token.pepper_id,
        ),
        methods,
        mfa_at,
    )
    update_last_login(User, user)
    return Tokens(_access(session, epoch, key), token.text, ACCESS_SECONDS, session)


def refresh(text: str) -> Tokens:
    """Exchange a refresh token for the next one and an access token.

    The one before the current one gives the same answer for ten seconds: two tabs, or an answer
    that was lost. An older one was stolen, or what came after it: its session ends. A forged one
    changes nothing. Raises NotSignedInError.
    """
    token = chain.parse(text, _peppers())
    if token is None:
        raise NotSignedInError(_REFUSED)
    now = timezone.now()
    child = token.child()
    alive = Q(pk=token.session_id, kind=UserSession.Kind.API, revoked_at=None) & Q(
        expires_at__gt=now, last_seen_at__gt=now - API_IDLE, user__is_active=True
    )
    turned = UserSession.objects.filter(
        alive, refresh_generation=token.generation, refresh_digest=token.digest
    ).update(
        refresh_generation=child.generation,
        refresh_digest=child.digest,
        refresh_previous_digest=token.digest,
        rotated_at=now,
        last_seen_at=now,
        last_address=_address(),
    )
    session = UserSession.objects.select_related("user").filter(alive).first()
    if session is None:
        raise NotSignedInError(_REFUSED)
    if not turned and not _is_replay(session, token, child, now):
        _answer_reuse(session, token)
        raise NotSignedInError(_REFUSED)
    return Tokens(
        _access(session, _epoch(session.user), signer()), child.text, ACCESS_SECONDS, session
    )


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


def session_of(request: HttpRequest | Request) -> UserSession | None:
    """Return the session of the cookie or the access token that the request came with."""
    principal: object = request.user
    if isinstance(principal, PersonPrincipal):
        return UserSession.objects.filter(pk=UUID(principal.sid), revoked_at=None).first()
    sid = request.session.get(SID) if isinstance(principal, User) else None
    return UserSession.objects.filter(pk=sid, revoked_at=None).first() if sid else None


def sign_out(request: HttpRequest | Request, *, actor: Actor) -> None:
    """End the session that the request came with."""
    session = session_of(request)
    if session is not None:
        end_session(actor=actor, session=session, reason="Signed out.")


@audited
def end_own(*, actor: Actor, session_id: UUID) -> UserSession:
    """End one of the actor's own sessions; raises NotFoundError for another's or none."""
    session = None
    if actor.user_id is not None:
        session = UserSession.objects.filter(pk=session_id, user_id=actor.user_id).first()
    if session is None:
        message = "You have no such session."
        raise NotFoundError(message)
    end_session(actor=actor, session=session, reason="Ended by its owner.")
    return session


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


def person_called(name: str) -> UUID:
    """Return the id of a person by id or name; raises NotFoundError."""
    which = Q(username=User.normalize_username(name))
    with suppress(ValueError):
        which |= Q(pk=UUID(name))
    found = User.objects.filter(which).values_list("pk", flat=True).first()
    if found is None:
        message = "There is no such person."
        raise NotFoundError(message)
    return found


def rekey(sid: str, cookie: str) -> None:
    """Follow a cookie that got a new value, as after a change of the password."""
    UserSession.objects.filter(pk=UUID(sid), kind=UserSession.Kind.WEB).update(
        session_key=digest_of(cookie)
    )


def end_flushed(session_id: UUID) -> None:
    """End the sign-in of a cookie that was thrown away."""
    session = UserSession.objects.select_related("user").filter(pk=session_id).first()
    if session is not None and session.revoked_at is None:
        end_session(actor=actor_for(session.user), session=session, reason="Signed out.")


def note_use(sid: str) -> None:
    """Write that a session is in use; one write a minute at most, whoever notes it."""
    now = timezone.now()
    UserSession.objects.filter(
        pk=UUID(sid), revoked_at=None, last_seen_at__lt=now - timedelta(seconds=SEEN_SECONDS - 1)
    ).update(last_seen_at=now, last_address=_address())


def holding(user_id: UUID) -> list[UserSession]:
    """Return the sessions of a person that hold, the last used first."""
    now = timezone.now()
    rows = UserSession.objects.filter(user_id=user_id, revoked_at=None, expires_at__gt=now)
    rows = rows.exclude(kind=UserSession.Kind.API, last_seen_at__lte=now - API_IDLE)
    rows = rows.exclude(kind=UserSession.Kind.WEB, last_seen_at__lte=now - CONSOLE_IDLE)
    return [*rows.order_by("-last_seen_at")]


def clear_expired() -> None:
    """Delete what nobody can use any more; sign-ins stay listed for three months."""
    engine = import_module(settings.SESSION_ENGINE)
    engine.SessionStore.clear_expired()
    limit = timezone.now() - timedelta(days=_LISTED_DAYS)
    UserSession.objects.filter(expires_at__lt=limit).delete()
    clear_old()


def _begin(
    user: User, session: UserSession, methods: Sequence[str], mfa_at: datetime | None
) -> UserSession:
    session.user = user
    session.methods = ",".join(methods)[:60]
    session.mfa_at = mfa_at
    session.user_agent = tracing.current().user_agent[:300]
    session.first_address = session.last_address = _address()
    session.save(force_insert=True)
    record(
        actor=actor_for(user),
        action="session.started",
        target=session,
        kind=session.kind,
        methods=session.methods,
    )
    return session


def _replace(user: User, session_id: UUID) -> None:
    old = UserSession.objects.filter(pk=session_id, user=user).first()
    if old is not None:
        # Its row of the cookie is the one that goes on, so only the sign-in ends.
        old.session_key = None
        UserSession.objects.filter(pk=session_id).update(session_key=None)
        end_session(actor=actor_for(user), session=old, reason="Signed in again.")


def _access(session: UserSession, epoch: str, key: signing.Signer) -> str:
    now = int(time.time())
    claims = Claims(
        user_id=session.user_id,
        sid=session.pk.hex,
        jti=uuid4().hex,
        kid=key.kid,
        epoch=epoch,
        methods=tuple(method for method in session.methods.split(",") if method),
        issued_at=now,
        not_before=now,
        expires_at=now + ACCESS_SECONDS,
    )
    return tokens.sign(claims, issuer=signing.issuer(), key=key.key)


def _lock_epoch(user: User) -> str:
    """Return what the person's sign-ins count now; whoever ends them all waits for this one."""
    return _epoch(User.objects.select_for_update().only("epoch").get(pk=user.pk))


def _epoch(user: User) -> str:
    generation = Installation.objects.filter(pk=1).values_list("generation", flat=True).first()
    return f"{generation or 1}.{user.epoch}"


def _peppers() -> list[str]:
    settings.KEYRING.ensure(_PEPPER)
    found: list[str] = settings.KEYRING.all_valid(_PEPPER)
    return found


def _address() -> str | None:
    return tracing.current().address or None
