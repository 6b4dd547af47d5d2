"""How people are reached: who wants to be told, by which ways, judged by their rights now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Exists, OuterRef, Q

from core.crypto import UnsealError
from notifications.engine.kinds import KINDS
from notifications.models import Channel, Contact, Event, Preference
from notifications.selectors.targets import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from uuid import UUID

    from django.db.models import QuerySet

    from accounts.models import User

SEE: Final = "notifications.view_notification"
"""The right to be told of alerts."""

ACKNOWLEDGE: Final = "notifications.acknowledge_group"

_GRAVITY: Final = {Event.Severity.INFO: 0, Event.Severity.WARNING: 1, Event.Severity.CRITICAL: 2}


def gravity(severity: str) -> int:
    """Return a number that rises with how grave an alert is."""
    return _GRAVITY[Event.Severity(severity)]


def entitled(permission: str = SEE) -> QuerySet[User]:
    """Return the active people who have a permission now."""
    app, _, codename = permission.partition(".")
    wanted = Permission.objects.filter(content_type__app_label=app, codename=codename)
    of_role = wanted.filter(group__user=OuterRef("pk"))
    own = wanted.filter(user=OuterRef("pk"))
    people: QuerySet[User] = get_user_model().objects.filter(
        Q(is_superuser=True) | Exists(of_role) | Exists(own), is_active=True
    )
    return people


def subscribers(severity: str) -> list[UUID]:
    """Return who wants to be told of every alert as grave as this, in the order of their names."""
    found = entitled().filter(
        notification_preference__subscribes=True,
        notification_preference__min_severity__in=_from(severity),
    )
    return list(found.order_by("username").values_list("pk", flat=True))


def targets_of(user_ids: Collection[UUID], severity: str) -> list[Target]:
    """Return how these people are reached, in the order in which they are named.

    Whoever may not see alerts, or wants only graver ones, is left out. Mail goes to the address of
    the account, unless the person has switched that off.
    """
    wanted = list(dict.fromkeys(user_ids))
    if not wanted:
        return []
    people = {person.pk: person for person in entitled().filter(pk__in=wanted)}
    modest = Preference.objects.filter(user__in=people).exclude(min_severity__in=_from(severity))
    for user_id in modest.values_list("user_id", flat=True):
        del people[user_id]
    chosen = _contacts(people)
    mail = list(mail_for_people())
    return [
        target
        for user_id in wanted
        if user_id in people
        for target in _of(people[user_id], chosen.get(user_id, []), mail)
    ]


def why_unreachable(user: User, severity: str) -> str:
    """Return why a person is not told of an alert as grave as this; empty if they are."""
    if targets_of([user.pk], severity):
        return ""
    if not entitled().filter(pk=user.pk).exists():
        return f"{user} may not see alerts or is disabled"
    preference = Preference.objects.filter(user=user).first()
    if preference is not None and gravity(preference.min_severity) > gravity(severity):
        return f"{user} wants only {preference.get_min_severity_display().lower()} alerts"
    return f"{user} has no way to be reached"


def takes_addresses(channel: Channel) -> bool:
    """Tell whether messages of a channel can go to a person's own address.

    An incoming webhook of Slack leads to one place, whoever a message is for. Raises KeyringError
    if the keyring cannot be read at all.
    """
    if channel.kind != Channel.Kind.SLACK:
        return KINDS[channel.kind].takes_addresses
    try:
        return bool(channel.config.get("token"))
    except UnsealError:
        return False


def mail_for_people() -> QuerySet[Channel]:
    """Return the channels that mail people at the address of their account."""
    return Channel.objects.filter(kind=Channel.Kind.EMAIL, is_for_people=True, enabled=True)


def _of(person: User, contacts: list[Contact], mail: Iterable[Channel]) -> list[Target]:
    found = []
    for contact in contacts:
        address = person.email if contact.channel.kind == Channel.Kind.EMAIL else contact.address
        if not (contact.enabled and contact.channel.enabled and address):
            continue
        # A channel may have changed since the address was entered.
        if takes_addresses(contact.channel):
            found.append(Target(contact.channel, address, person.pk))
    chosen = {contact.channel_id for contact in contacts}
    if person.email:
        left = (channel for channel in mail if channel.pk not in chosen)
        found += [Target(channel, person.email, person.pk) for channel in left]
    return found


def _contacts(people: Collection[UUID]) -> dict[UUID, list[Contact]]:
    found: dict[UUID, list[Contact]] = defaultdict(list)
    rows = Contact.objects.filter(user__in=people).select_related("channel")
    for contact in rows.defer("channel__config").order_by("channel__name"):
        found[contact.user_id].append(contact)
    return found


def _from(severity: str) -> list[str]:
    """Return the severities that this one is at least as grave as."""
    return [name for name, number in _GRAVITY.items() if number <= gravity(severity)]
