"""What a person chooses for themselves: from which severity on, when not, and by which ways."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from django.contrib.auth import get_user_model
from django.utils import timezone

from audit.services.acts import audited
from audit.services.records import changes, record
from core import volatile
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError, TooManyError
from notifications.engine import zones
from notifications.engine.kinds import usable_address
from notifications.engine.targets import shown_address
from notifications.models import Channel, Contact, Event, Preference
from notifications.selectors import people
from notifications.services import testing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import time
    from uuid import UUID

    from accounts.models import User
    from core.actors import Actor
    from notifications.services.testing import Answer

TESTS_A_MINUTE: Final = 5
_UNUSABLE: Final = "Your choice cannot be saved like this."
_WEEK: Final = range(7)


class PreferenceFields(TypedDict, total=False):
    """What a person may choose."""

    min_severity: str
    subscribes: bool
    quiet_from: time | None
    quiet_until: time | None
    quiet_days: Sequence[int]
    time_zone: str


@audited
def choose(*, actor: Actor, user_id: UUID, **fields: Unpack[PreferenceFields]) -> Preference:
    """Set what is given of a person's preferences; raises InvalidInputError."""
    user = _person(user_id)
    preference = Preference.objects.select_for_update().filter(user=user).first()
    preference = preference or Preference(user=user)
    before = shown(preference)
    for name, value in fields.items():
        setattr(preference, name, value)
    preference.quiet_days = sorted(set(preference.quiet_days))
    _refuse_unusable(preference)
    preference.updated_at = timezone.now()
    preference.save()
    old, new = changes(before, shown(preference))
    record(actor=actor, action="preference.updated", target=user, before=old, after=new)
    return preference


@audited
def set_contact(
    *, actor: Actor, user_id: UUID, channel_id: UUID, address: str = "", enabled: bool = True
) -> Contact:
    """Say how a person is reached by a channel, or that they are not.

    Mail always goes to the address of the account, so that nobody sends alerts elsewhere.
    """
    user = _person(user_id)
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None or not _is_offered(channel, user, enabled=enabled):
        message = "There is no such channel for people."
        raise NotFoundError(message)
    if channel.kind == Channel.Kind.EMAIL:
        address = ""
        if enabled and not user.email:
            message = "Your account has no e-mail address; enter one on your profile."
            raise InvalidInputError(_UNUSABLE, errors={"address": [message]})
    elif enabled or address:
        address = usable_address(channel.kind, address)
        others = Contact.objects.filter(channel=channel, address=address).exclude(user=user)
        if others.exists():
            # Each would get the messages that are meant for the other.
            message = "Somebody else is reached by this address; enter one of your own."
            raise InvalidInputError(_UNUSABLE, errors={"address": [message]})
    contact, created = Contact.objects.select_for_update().get_or_create(
        user=user, channel=channel, defaults={"address": address, "enabled": enabled}
    )
    before = {} if created else _told(contact)
    contact.address, contact.enabled = address, enabled
    contact.save()
    old, new = changes(before, _told(contact))
    record(
        actor=actor,
        action="contact.updated",
        target=user,
        before=old,
        after=new,
        channel=channel.name,
    )
    return contact


@audited
def remove_contact(*, actor: Actor, user_id: UUID, channel_id: UUID) -> None:
    """Forget an address of a person."""
    contact = Contact.objects.filter(user=user_id, channel=channel_id).select_related("channel")
    found = contact.defer("channel__config").first()
    if found is None:
        message = "There is no such contact; perhaps you have removed it already."
        raise NotFoundError(message)
    record(
        actor=actor,
        action="contact.removed",
        target=_person(user_id),
        before=_told(found),
        channel=found.channel.name,
    )
    found.delete()


def send_test(*, actor: Actor, user_id: UUID) -> list[tuple[str, list[Answer]]]:
    """Send a test by every way that reaches a person; return the answers by name of channel.

    Raises InvalidTransitionError when nothing reaches them, and TooManyError for who tests on and
    on: a test waits for no rate of its channel.
    """
    user = _person(user_id)
    decision = volatile.allow(key=f"own-test:{user.pk}", limit=TESTS_A_MINUTE, period_seconds=60)
    if not decision.allowed:
        wait = max(1, math.ceil(decision.retry_after_seconds))
        message = f"You have just sent several tests; send another one in {wait} s."
        raise TooManyError(message, retry_after=wait)
    targets = people.targets_of([user.pk], Event.Severity.CRITICAL)
    if not targets:
        why = people.why_unreachable(user, Event.Severity.CRITICAL)
        message = f"Nothing reaches you: {why}."
        raise InvalidTransitionError(message)
    return [
        (
            target.channel.name,
            testing.send_test(
                actor=actor,
                channel_id=target.channel.pk,
                recipient=target.recipient,
                user_id=user.pk,
            ),
        )
        for target in targets[: testing.MOST_CHANNELS]
    ]


def shown(preference: Preference) -> dict[str, object]:
    """Return preferences as the audit log tells them."""
    return {
        "min_severity": preference.min_severity,
        "subscribes": preference.subscribes,
        "quiet_from": str(preference.quiet_from or ""),
        "quiet_until": str(preference.quiet_until or ""),
        "quiet_days": list(preference.quiet_days),
        "time_zone": preference.time_zone,
    }


def _is_offered(channel: Channel, user: User, *, enabled: bool) -> bool:
    """Tell whether a channel is one by which a person may be reached, or which they may leave."""
    if Contact.objects.filter(channel=channel, user=user).exists() and not enabled:
        return True
    if not people.entitled().filter(pk=user.pk).exists() or not channel.enabled:
        return False
    if channel.kind == Channel.Kind.EMAIL:
        return channel.is_for_people
    return people.takes_addresses(channel)


def _refuse_unusable(preference: Preference) -> None:
    errors: dict[str, list[str]] = {}
    if preference.min_severity not in Event.Severity.values:
        errors["min_severity"] = [f"One of {', '.join(Event.Severity.values)}."]
    if (preference.quiet_from is None) != (preference.quiet_until is None):
        if preference.quiet_from is None:
            errors["quiet_from"] = ["Say also from when."]
        else:
            errors["quiet_until"] = ["Say also until when."]
    elif preference.quiet_from is not None and preference.quiet_from == preference.quiet_until:
        errors["quiet_until"] = ["Quiet hours end at another time than they begin."]
    if not set(preference.quiet_days) <= set(_WEEK):
        errors["quiet_days"] = ["Weekdays are numbers from 0, Monday, to 6, Sunday."]
    if preference.time_zone not in zones.known():
        errors["time_zone"] = ["Name a time zone such as Europe/Vienna, or UTC."]
    if errors:
        raise InvalidInputError(_UNUSABLE, errors=errors)


def _told(contact: Contact) -> dict[str, object]:
    address = shown_address(contact.address) if contact.address else ""
    return {"address": address, "enabled": contact.enabled}


def _person(user_id: UUID) -> User:
    user: User | None = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        message = "There is no such active person."
        raise NotFoundError(message)
    return user
