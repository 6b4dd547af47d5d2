"""People choose from which severity on, when not, and by which ways they are told."""

from __future__ import annotations

from datetime import time

import pytest

from accounts.actors import actor_for
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.models import Contact, Preference
from notifications.selectors import people
from notifications.services import channels, preferences
from tests.notifications.escalations import people_mail, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(make_user):
    return person(make_user, "ada")


@pytest.fixture
def mail(db):
    return people_mail()


@pytest.fixture
def ntfy(db):
    config = {"server": "https://ntfy.example.com", "topic": "everybody"}
    made = channels.create(actor=SYSTEM, kind="ntfy", name="ntfy", config=config)
    return made.channel


def told(user, severity="critical"):
    found = people.targets_of([user.pk], severity)
    return [(target.channel.name, target.recipient, target.user_id) for target in found]


def test_mail_goes_to_the_account_without_any_choice(ada, mail):
    assert told(ada) == [("E-mail to people", "ada@example.com", ada.pk)]


def test_who_has_no_address_is_not_reached_and_why(make_user, mail):
    bob = make_user(role="operator", username="bob")
    assert told(bob) == []
    assert people.why_unreachable(bob, "critical") == "bob has no way to be reached"


def test_own_addresses_come_beside_mail_until_that_is_switched_off(ada, mail, ntfy):
    actor = actor_for(ada)
    preferences.set_contact(actor=actor, user_id=ada.pk, channel_id=ntfy.pk, address="ada-alerts")
    assert told(ada) == [
        ("ntfy", "ada-alerts", ada.pk),
        ("E-mail to people", "ada@example.com", ada.pk),
    ]
    preferences.set_contact(actor=actor, user_id=ada.pk, channel_id=mail.pk, enabled=False)
    assert told(ada) == [("ntfy", "ada-alerts", ada.pk)]
    preferences.remove_contact(actor=actor, user_id=ada.pk, channel_id=ntfy.pk)
    assert told(ada) == []
    actions = AuditRecord.objects.filter(action__startswith="contact.").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "contact.updated",
        "contact.updated",
        "contact.removed",
    ]


def test_mail_never_goes_to_another_address(ada, mail):
    preferences.set_contact(
        actor=SYSTEM, user_id=ada.pk, channel_id=mail.pk, address="mallory@example.com"
    )
    assert Contact.objects.get().address == ""
    assert told(ada) == [("E-mail to people", "ada@example.com", ada.pk)]


@pytest.mark.parametrize("address", ["", "two words", "a/b", "x" * 200])
def test_an_address_that_the_channel_cannot_have_is_refused(ada, ntfy, address):
    with pytest.raises(InvalidInputError) as caught:
        preferences.set_contact(actor=SYSTEM, user_id=ada.pk, channel_id=ntfy.pk, address=address)
    assert list(caught.value.errors) == ["address"]
    assert not Contact.objects.exists()


def test_a_webhook_is_no_way_to_reach_a_person(ada, make_webhook):
    hook = make_webhook()
    with pytest.raises(NotFoundError):
        preferences.set_contact(actor=SYSTEM, user_id=ada.pk, channel_id=hook.pk, address="x")
    assert not Contact.objects.exists()


def test_less_grave_alerts_than_chosen_are_not_sent(ada, mail):
    preferences.choose(actor=SYSTEM, user_id=ada.pk, min_severity="warning")
    assert [bool(told(ada, severity)) for severity in ("info", "warning", "critical")] == [
        False,
        True,
        True,
    ]
    assert people.why_unreachable(ada, "info") == "ada wants only warning alerts"


def test_subscribers_are_those_who_asked_and_may_see_alerts_now(make_user, ada, mail):
    bob = person(make_user, "bob")
    for user, severity in ((ada, "critical"), (bob, "info")):
        preferences.choose(actor=SYSTEM, user_id=user.pk, subscribes=True, min_severity=severity)
    assert people.subscribers("critical") == [ada.pk, bob.pk]
    assert people.subscribers("warning") == [bob.pk]
    bob.groups.clear()
    assert people.subscribers("warning") == []
    assert told(bob) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"min_severity": "loud"}, "min_severity"),
        ({"quiet_from": time(22)}, "quiet_until"),
        ({"quiet_from": time(22), "quiet_until": time(22)}, "quiet_until"),
        ({"quiet_days": [7]}, "quiet_days"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(ada, fields, wrong):
    with pytest.raises(InvalidInputError) as caught:
        preferences.choose(actor=SYSTEM, user_id=ada.pk, **fields)
    assert list(caught.value.errors) == [wrong]
    assert not Preference.objects.exists()


def test_nothing_to_send_a_test_by_is_told(make_user):
    bob = make_user(role="operator", username="bob")
    with pytest.raises(InvalidTransitionError, match="Nothing reaches you"):
        preferences.send_test(actor=actor_for(bob), user_id=bob.pk)


@pytest.mark.django_db(transaction=True)
def test_a_test_reaches_the_person_alone(ada, mail, mailbox):
    [(name, [answer])] = preferences.send_test(actor=actor_for(ada), user_id=ada.pk)
    assert (name, answer.delivered) == ("E-mail to people", True)
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ada@example.com"]]


def test_the_page_saves_a_choice(ada, mail, console):
    page = console(ada).get("/account/notifications/")
    assert page.status_code == 200
    assert "ada@example.com" in page.text
    given = {
        "min_severity": "warning",
        "subscribes": "on",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
        "quiet_days": ["4", "5"],
        "time_zone": "Europe/Vienna",
    }
    answer = console(ada).post("/account/notifications/", given)
    assert (answer.status_code, answer["Location"]) == (302, "/account/notifications/")
    preference = Preference.objects.get(user=ada)
    assert (preference.min_severity, preference.subscribes, preference.quiet_days) == (
        "warning",
        True,
        [4, 5],
    )
    assert (preference.quiet_from, preference.quiet_until) == (time(22), time(7))


def test_the_page_tells_what_is_wrong(ada, console):
    given = {"min_severity": "info", "quiet_from": "22:00", "time_zone": "Mars/Olympus"}
    page = console(ada).post("/account/notifications/", given)
    assert "Nothing was saved" in page.text
    assert not Preference.objects.exists()


def test_the_page_sets_and_switches_an_address(ada, ntfy, console):
    client = console(ada)
    path = f"/account/notifications/{ntfy.pk}/"
    client.post(path, {"address": "ada-alerts"})
    contact = Contact.objects.get()
    assert (contact.user, contact.address, contact.enabled) == (ada, "ada-alerts", True)
    client.post(path, {"address": "ada-alerts", "off": "1"})
    assert Contact.objects.get().enabled is False
    client.post(path, {"remove": "1"})
    assert not Contact.objects.exists()
    assert client.get(path).status_code == 405
