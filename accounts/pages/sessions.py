"""Where one is signed in, and how to end it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts.actors import actor_of
from accounts.models import UserSession
from accounts.pages.frame import person, render
from accounts.selectors import people
from accounts.services import revocation, sessions
from core.errors import NotFoundError
from core.pagebase import page
from core.rest.permissions import SIGNED_IN

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

_MOST_SHOWN: Final = 100


@dataclass(frozen=True)
class _Line:
    """One sign-in as its owner sees it."""

    key: UUID
    device: str
    client: str
    kind: str
    last_address: str
    first_address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    proven: str
    is_this: bool


@page(GET=SIGNED_IN)
def session_list(request: HttpRequest) -> HttpResponse:
    """List the person's own sign-ins, this one first."""
    this = sessions.session_of(request)
    found = people.sessions_of(person(request))
    lines = [_line(session, this) for session in found[:_MOST_SHOWN]]
    lines.sort(key=lambda line: not line.is_this)
    return render(
        request,
        "account/sessions.html",
        tab="sessions",
        title="Sessions",
        lines=lines,
        others=sum(not line.is_this for line in lines),
        more=max(0, found.count() - len(lines)),
    )


@page(POST=SIGNED_IN, back="account-sessions")
def end(request: HttpRequest, sid: UUID) -> HttpResponse:
    """End one of the person's own sign-ins."""
    session = UserSession.objects.filter(pk=sid, user=person(request)).first()
    if session is None:
        message = "There is no such session."
        raise NotFoundError(message)
    if revocation.end_session(
        actor=actor_of(request), session=session, reason="Ended by its owner."
    ):
        messages.success(request, f"{session.device_name} was signed out.")
    else:
        messages.info(request, "That session had ended already.")
    return HttpResponseRedirect(reverse("account-sessions"))


@page(POST=SIGNED_IN, back="account-sessions")
def end_others(request: HttpRequest) -> HttpResponse:
    """End all of the person's own sign-ins but this one."""
    this = sessions.session_of(request)
    ended = revocation.end_all(
        actor=actor_of(request),
        user_id=person(request).pk,
        reason="Ended by their owner.",
        keep=this.pk if this is not None else None,
    )
    messages.success(
        request, f"{ended} other session{'' if ended == 1 else 's'} ended; this one goes on."
    )
    return HttpResponseRedirect(reverse("account-sessions"))


def _line(session: UserSession, this: UserSession | None) -> _Line:
    return _Line(
        key=session.pk,
        device=session.device_name,
        client=session.user_agent,
        kind=session.get_kind_display(),
        last_address=session.last_address or "unknown address",
        first_address=session.first_address or "",
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
        proven=f"by {session.proven}",
        is_this=this is not None and session.pk == this.pk,
    )
