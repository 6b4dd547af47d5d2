"""Sessions: of browsers and of programs, from the sign-in to the end."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, update_last_login
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from accounts.actors import PersonPrincipal, actor_for
from accounts.engine.cookies import digest_of
from accounts.models import User, UserSession
from accounts.selectors.sign_ins import SID
from accounts.services import tokens
from accounts.services.revocation import clear_old, end_session
from accounts.services.signing_keys import signer
from audit.services.acts import audited, unwatched
from audit.services.records import record
from core import tracing
from core.errors import NotFoundError, NotSignedInError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest
    from rest_framework.request import Request

    from accounts.services.tokens import Tokens
    from core.actors import Actor

EPOCH: Final = "ep"
UNTIL: Final = "until"
SEEN: Final = "seen"
"""What the console's session holds: whose it is stands in the database under its id."""

SEEN_SECONDS: Final = 60
_LISTED_DAYS: Final = 90
_CHANGED: Final = "Something about your account has changed meanwhile. Sign in again."
_SHARE: Final = "SELECT generation FROM accounts_installation WHERE id = 1"


def begin_web(
    *,
    request: HttpRequest,
    user: User,
    methods: Sequence[str] = ("pwd",),
    mfa_at: datetime | None = None,
) -> UserSession:
    """Give a browser that has just signed in a session that can be listed and ended.

    Raises NotSignedInError when the person is no longer as they were when they were judged.
    """
    try:
        return _begin_web(request=request, user=user, methods=methods, mfa_at=mfa_at)
    except NotSignedInError:
        # Django has written the person into the cookie's session already.
        request.session.flush()
        request.user = AnonymousUser()
        raise


@audited
def _begin_web(
    *, request: HttpRequest, user: User, methods: Sequence[str], mfa_at: datetime | None
) -> UserSession:
    epoch = _hold_still(user)
    now = timezone.now()
    expires = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    # A sign-in over a sign-in: Django keeps the cookie's session when it is the same person.
    replaced = request.session.get(SID)
    if replaced:
        _replace(user, UUID(replaced))
    sid = uuid4()
    request.session[SID] = str(sid)
    request.session[EPOCH] = epoch
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
    """Begin a session of a program; return its tokens, which are stored nowhere.

    Raises NotSignedInError when the person is no longer as they were when they were judged.
    """
    key = signer()
    epoch = _hold_still(user)
    sid = uuid4()
    token = tokens.first(sid)
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
    return tokens.issue(session, epoch=epoch, key=key, refresh_token=token)


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
    with unwatched("a cookie that got a new value stands for the same sign-in"):
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


def _address() -> str | None:
    return tracing.current().address or None


def _hold_still(user: User) -> str:
    """Return what the person's sign-ins count now, and let nothing end them until the commit.

    Whoever ends them all, changes the password or disables the person holds the same lock: they
    come after this sign-in and end it, or before it, and then what was judged holds no longer.
    """
    now = (
        User.objects.select_for_update()
        .filter(pk=user.pk)
        .values_list("epoch", "password", "is_active")
        .first()
    )
    if now != (user.epoch, user.password, True):
        raise NotSignedInError(_CHANGED)
    # Shared: people sign in side by side, and whoever ends everything waits for all of them.
    with connection.cursor() as cursor:
        is_postgresql = connection.vendor == "postgresql"
        cursor.execute(f"{_SHARE} FOR SHARE" if is_postgresql else _SHARE)
        generation = cursor.fetchone()
    return f"{generation[0] if generation else 1}.{user.epoch}"
