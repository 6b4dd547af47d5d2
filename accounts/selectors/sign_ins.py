"""Sign-ins: which hold, and how their people have proven themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts.models import UserSession
from core.memory import Memory

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.db.models import QuerySet

    from accounts.engine.snapshots import Snapshot

SID: Final = "sid"
"""Under this name a cookie's session holds the id of its sign-in."""

API_IDLE: Final = timedelta(hours=12)
CONSOLE_IDLE: Final = timedelta(minutes=30)

Methods = tuple[str, ...]

_proven: Final = Memory[str, Methods | None](most=20_000)


def idle_of(kind: str) -> timedelta:
    """Return how long a sign-in may go unused."""
    return CONSOLE_IDLE if kind == UserSession.Kind.WEB else API_IDLE


def holds() -> Q:
    """Return the condition under which a sign-in holds: not ended, nor expired, nor idle."""
    now = timezone.now()
    in_use = Q()
    for kind in UserSession.Kind:
        in_use |= Q(kind=kind, last_seen_at__gt=now - idle_of(kind))
    return Q(revoked_at=None, expires_at__gt=now) & in_use


def holding() -> QuerySet[UserSession]:
    """Return the sign-ins that hold, the last used first."""
    return UserSession.objects.filter(holds()).order_by("-last_seen_at")


def methods_of(sid: str) -> Methods:
    """Return how the person of a sign-in has proven themselves, in the order in which they did.

    No query once it was more than a password: no sign-in ever loses what was proven.
    """
    return _proven.of(sid, lambda: _read_proven(sid)) or ("pwd",)


def methods_that_matter(person: Snapshot, session: SessionBase) -> Methods:
    """Return the same for a cookie's session, and nothing where no role asks how.

    The session holds no copy: requests beside each other write it whole, and the one that began
    before the proof would take it back.
    """
    return methods_of(str(session[SID])) if person.mfa_required else ()


def _read_proven(sid: str) -> Methods | None:
    row = UserSession.objects.filter(pk=UUID(sid)).values_list("methods", flat=True).first()
    methods = tuple(method for method in (row or "").split(",") if method)
    return methods if len(methods) > 1 else None
