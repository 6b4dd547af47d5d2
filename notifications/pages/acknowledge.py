"""Acknowledge a thread by the link in a message: no session, the link says who it is."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from accounts.actors import actor_for
from accounts.models import User
from accounts.selectors import access
from accounts.services import restrictions
from accounts.services.networks import refuse_address
from core import tracing
from core.errors import DomainError
from core.pagebase import page, render, told
from core.rest.permissions import PUBLIC
from notifications.models import Event, Group, Notification
from notifications.selectors.people import ACKNOWLEDGE, entitled
from notifications.services import acknowledgements, links

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_CONSOLE: Final = "Sign in to the console and acknowledge it there."


@dataclass(frozen=True)
class _Answer:
    """What the page says; without a group it says nothing of any alert."""

    title: str
    text: str
    status: int
    group: Group | None = None
    person: User | None = None
    message: Notification | None = None
    may: bool = False
    elsewhere: Group | None = None
    """The thread whose page is offered; it asks for rights of its own and is not told of here."""


@page(GET=PUBLIC, POST=PUBLIC)
def acknowledge(request: HttpRequest, token: str) -> HttpResponse:
    """Show what the link is about; acknowledge it only when the button is pressed.

    Programs that read mail follow links, so GET changes nothing. What the person may do is judged
    at that moment.
    """
    answer = _judge(request, token)
    if request.method == "POST" and answer.may and answer.group and answer.person:
        answer = _take_care(answer.group, answer.person, answer.message)
    context = {
        "title": answer.title,
        "text": answer.text,
        "group": answer.group,
        "person": answer.person,
        "may": answer.may,
        "thread": answer.group or answer.elsewhere,
        "holding": _holding(answer.group),
    }
    response = render(request, "notifications/acknowledge.html", context)
    response.status_code = answer.status
    return response


def _take_care(group: Group, person: User, message: Notification | None) -> _Answer:
    try:
        acknowledgements.acknowledge(actor=actor_for(person), group_id=group.pk, by_link=message)
    except DomainError as error:
        return _Answer("Not acknowledged", told(error), error.status, group)
    text = f"Thank you, {person}. Nobody else is called."
    if group.severity == Event.Severity.CRITICAL:
        minutes = int(acknowledgements.HOLDS.total_seconds() // 60)
        text += f" If it is not over in {minutes} minutes, people are told again."
    return _Answer("Acknowledged", text, HTTPStatus.OK, group)


def _judge(request: HttpRequest, token: str) -> _Answer:
    found = links.read(token)
    if found is None:
        text = f"It may have been cut on its way. {_CONSOLE}"
        return _Answer("This link does not work", text, HTTPStatus.NOT_FOUND)
    if found.is_over:
        hours = int(links.LASTS.total_seconds() // 3600)
        text = f"A link works for {hours} hours. {_CONSOLE}"
        return _Answer("This link has run out", text, HTTPStatus.GONE)
    person = entitled(ACKNOWLEDGE).filter(pk=found.user_id).first()
    if person is None:
        text = "Whom it was sent to may not acknowledge alerts any more."
        return _Answer("This link does not work any more", text, HTTPStatus.FORBIDDEN)
    if isinstance(request.user, User) and request.user.pk != person.pk:
        text = f"You are signed in as {request.user}, and the link was sent to {person}."
        thread = Group.objects.filter(key=found.group_key).only("pk").first()
        if thread is not None:
            text += " Open the thread in the console and acknowledge it there in your own name."
        title = "This link was sent to somebody else"
        return _Answer(title, text, HTTPStatus.FORBIDDEN, elsewhere=thread)
    if trouble := _restriction(person):
        return _Answer("This link does not work now", trouble, HTTPStatus.FORBIDDEN)
    rows = Notification.objects.select_related("group").defer("payload")
    message = rows.filter(
        pk=found.message_id, group__key=found.group_key, user=found.user_id
    ).first()
    if message is None or message.group is None:
        text = "What it was about is not kept any more."
        return _Answer("This link does not work any more", text, HTTPStatus.GONE)
    return _offer(message.group, person, message)


def _restriction(person: User) -> str:
    """Return why a person may not act now, as in a session; empty if they may.

    Whoever has set up a second factor proved it when they signed in; the link stands for that.
    """
    access.fresh()
    snapshot = access.snapshot(person.pk)
    if snapshot is None:
        return _CONSOLE
    try:
        refuse_address(place="console", snapshot=snapshot, address=tracing.current().address)
    except DomainError as error:
        return told(error)
    found = restrictions.restriction_of(snapshot, restrictions.SECOND_FACTORS)
    return f"{told(found)} {_CONSOLE}" if found is not None else ""


def _offer(group: Group, person: User, message: Notification) -> _Answer:
    if not group.is_open or not _holding(group):
        return _Answer("It is over", "There is nothing left to do.", HTTPStatus.OK, group, person)
    if group.acked_at is not None:
        carer = "You take" if group.acked_by_id == person.pk else f"{group.acked_name} takes"
        text = f"{carer} care of it."
        return _Answer("Acknowledged already", text, HTTPStatus.OK, group, person)
    if acknowledgements.joined_since(group, message):
        text = f"Other alerts have joined it since this message was sent. {_CONSOLE}"
        return _Answer("It has grown since", text, HTTPStatus.CONFLICT, group, person)
    text = f"As {person}: you take care of it, and nobody else is called."
    return _Answer("Acknowledge this?", text, HTTPStatus.OK, group, person, message, may=True)


def _holding(group: Group | None) -> list[str]:
    """Return what holds of a thread, in words."""
    if group is None:
        return []
    members = group.members.filter(status=Event.Status.FIRING).select_related("event")
    return list(members.order_by("since").values_list("event__title", flat=True)[:20])
