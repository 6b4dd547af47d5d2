"""End sessions and tokens, and tell every process what has changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import randbelow
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.engine.cookies import CACHE_PREFIX
from accounts.engine.tokens import ACCESS_SECONDS, LEEWAY_SECONDS
from accounts.models import AccessChange, Installation, User, UserSession
from accounts.selectors import access
from audit.services.acts import audited, unwatched
from audit.services.records import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.actors import Actor

logger = logging.getLogger(__name__)

Kind = AccessChange.Kind

# Longer than any token lives, and any process remembers what it has checked.
_LIFETIME_SECONDS: Final = ACCESS_SECONDS + LEEWAY_SECONDS + 600
_KEEP_DAYS: Final = 30
# What drops memories only: dropping too early or in vain costs a query.
_DROPS: Final = frozenset({Kind.RIGHTS, Kind.ROLES, Kind.KEYS, Kind.NETWORKS})
# A restored database does not know how far its lost future had counted.
_LARGEST_STEP: Final = 1_000_000


def tell(
    *,
    kind: AccessChange.Kind,
    value: str,
    actor: Actor,
    reason: str = "",
    lifetime_seconds: float | None = None,
) -> None:
    """Write a change into the feed, in the caller's transaction; every process knows it within 1 s.

    This process applies it right after the commit. `lifetime_seconds` says for how long what is
    ended could still have been valid.
    """
    row = AccessChange.objects.create(**_fields(kind, value, actor, reason, lifetime_seconds))
    if kind in _DROPS:
        # What is read anew before the commit is dropped once more after it.
        access.standing.apply(kind, value)
    transaction.on_commit(partial(access.feed.tell, (row.seq, str(kind), value)))


@audited
def end_session(*, actor: Actor, session: UserSession, reason: str) -> bool:
    """End one sign-in: its cookie or its tokens, everywhere within a second.

    Returns False if it had ended before.
    """
    if not _mark_ended(actor, reason, pk=session.pk):
        return False
    _delete_cookies([session.session_key] if session.session_key else [])
    left = (session.expires_at - timezone.now()).total_seconds()
    tell(
        kind=Kind.SESSION,
        value=session.pk.hex,
        actor=actor,
        reason=reason,
        lifetime_seconds=left if session.kind == UserSession.Kind.WEB else None,
    )
    record(actor=actor, action="session.ended", target=session, reason=reason)
    return True


@audited
def end_all(*, actor: Actor, user_id: UUID, reason: str, keep: UUID | None = None) -> int:
    """End all sign-ins of a person by one row of the feed; return how many held.

    With `keep`, all but that one: then each has a row of its own, for what is kept must not notice.
    """
    # Whoever begins a session holds this lock too: it comes before, or counts with the new epoch.
    user = User.objects.select_for_update().get(pk=user_id)
    holding = UserSession.objects.filter(user_id=user_id, revoked_at=None).order_by()
    if keep is not None:
        holding = holding.exclude(pk=keep)
    web = holding.exclude(session_key=None).values_list("session_key", flat=True)
    cookies = [key for key in web if key]
    sids = [pk.hex for pk in holding.values_list("pk", flat=True)] if keep is not None else []
    ended = holding.update(**_marks(actor, reason))
    _delete_cookies(cookies)
    if keep is None:
        User.objects.filter(pk=user_id).update(epoch=F("epoch") + 1)
        tell(kind=Kind.USER, value=str(user_id), actor=actor, reason=reason)
    else:
        _tell_each(actor, reason, sids)
    record(
        actor=actor,
        action="sessions.ended",
        target=user,
        reason=reason,
        sessions=ended,
        kept=keep,
    )
    return ended


@audited
def end_token(*, actor: Actor, jti: str, reason: str) -> None:
    """Revoke one access token; its session may fetch another."""
    tell(kind=Kind.TOKEN, value=jti, actor=actor, reason=reason)
    record(actor=actor, action="token.revoked", reason=reason, jti=jti)


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of ending everything."""

    generation: int
    sessions: int


@audited
def end_everything(*, actor: Actor, reason: str) -> Ended:
    """End every sign-in of everybody, as after the database was restored.

    The step is random: a restored database does not know how far its lost future had counted, and
    a generation that came twice would make tokens of that future valid again. Who is signing in
    just now shares the row: they are waited for, and ended with the others.
    """
    Installation.objects.get_or_create(pk=1)
    installation = Installation.objects.select_for_update().get(pk=1)
    installation.generation += 1 + randbelow(_LARGEST_STEP)
    installation.save(update_fields=["generation"])
    sessions = _mark_ended(actor, reason)
    Session.objects.all().delete()
    tell(kind=Kind.ALL, value=str(installation.generation), actor=actor, reason=reason)
    record(
        actor=actor,
        action="sessions.ended",
        target=installation,
        reason=reason,
        generation=installation.generation,
        sessions=sessions,
    )
    return Ended(installation.generation, sessions)


def clear_old() -> None:
    """Delete changes that have not mattered for a month."""
    limit = timezone.now() - timedelta(days=_KEEP_DAYS)
    with unwatched("changes that no token outlived"):
        AccessChange.objects.filter(not_after__lt=limit).delete()


def _fields(
    kind: AccessChange.Kind, value: str, actor: Actor, reason: str, lifetime: float | None = None
) -> dict[str, object]:
    seconds = max(lifetime or 0, _LIFETIME_SECONDS)
    return {
        "kind": kind,
        "value": value,
        # The database's own time: polls compare with it.
        "created_at": Now(),
        "not_after": timezone.now() + timedelta(seconds=seconds),
        "actor": actor.name[:200],
        "reason": reason[:200],
    }


def _tell_each(actor: Actor, reason: str, sids: Sequence[str]) -> None:
    lifetime = max(settings.SESSION_COOKIE_AGE, ACCESS_SECONDS)
    rows = AccessChange.objects.bulk_create(
        AccessChange(**_fields(Kind.SESSION, sid, actor, reason, lifetime)) for sid in sids
    )
    for row in rows:
        transaction.on_commit(partial(access.feed.tell, (row.seq, str(row.kind), row.value)))


def _mark_ended(actor: Actor, reason: str, **which: object) -> int:
    found = UserSession.objects.filter(revoked_at=None, **which)
    return found.update(**_marks(actor, reason))


def _marks(actor: Actor, reason: str) -> dict[str, object]:
    return {
        "revoked_at": timezone.now(),
        "revoked_by": actor.name[:200],
        "revoked_reason": reason[:200],
    }


def _delete_cookies(digests: Sequence[str]) -> None:
    """Delete what cookies stand for; requests that hold it already are refused by memory."""
    if not digests:
        return
    Session.objects.filter(session_key__in=digests).delete()
    if settings.REDIS_URL:
        transaction.on_commit(partial(_delete_cached, digests), robust=True)


def _delete_cached(digests: Sequence[str]) -> None:
    try:
        cache.delete_many([CACHE_PREFIX + digest for digest in digests])
    except Exception as error:  # noqa: BLE001  # whatever the client raises while Redis is away
        logger.warning("Ended sessions stay in the cache (%s).", type(error).__name__)
