"""How the people of sign-ins have proven themselves, by the rows of the sign-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from accounts.models import UserSession
from core.memory import Memory

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase

    from accounts.engine.snapshots import Snapshot

SID: Final = "sid"
"""Under this name a cookie's session holds the id of its sign-in."""

Methods = tuple[str, ...]

_proven: Final = Memory[str, Methods | None](most=20_000)


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
