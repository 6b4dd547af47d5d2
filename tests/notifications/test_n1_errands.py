"""What leaves is made at the last moment: the link to acknowledge is for one person alone."""

import json
import uuid

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from notifications.engine.base import ACKNOWLEDGE, Verdict
from notifications.models import Channel, Event, Group, Notification, Route
from notifications.services import links
from notifications.services.errands import told
from notifications.services.testing import send_test
from tests.notifications.providers import TELEGRAM_TOKEN, Said, SlackServer, TelegramServer
from tests.notifications.sending import made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(django_user_model):
    return django_user_model.objects.create_user("ann", email="ann@example.com")


@pytest.fixture
def group():
    return Group.objects.create(
        route=Route.objects.create(name="All"),
        route_name="All",
        group_key="g",
        title="shop is down",
        severity=Event.Severity.CRITICAL,
    )


def row(group, user, **changes) -> Notification:
    payload = message(thread=group.key.hex, **changes).to_payload()
    return Notification(
        group=group,
        user=user,
        recipient=user.email if user is not None else "",
        payload=payload,
        reason=changes.get("reason", "first"),
        created_at=timezone.now(),
    )


def test_message_to_a_person_acknowledges_in_that_persons_name(group, person):
    notification = row(group, person)

    url = told(notification).links[ACKNOWLEDGE]

    granted = links.read(url.rstrip("/").rpartition("/")[2])
    assert (granted.group_key, granted.user_id) == (group.key, person.pk)
    assert granted.message_id == (notification.pk or 0)
    assert ACKNOWLEDGE not in json.dumps(notification.payload)


@pytest.mark.parametrize(
    "changes", [{"status": "resolved"}, {"status": "info"}, {"reason": "acknowledged"}]
)
def test_what_is_over_or_taken_on_has_no_such_link(group, person, changes):
    assert ACKNOWLEDGE not in told(row(group, person, **changes)).links


def test_message_to_many_has_the_link_that_it_was_stored_with(group):
    stored = {ACKNOWLEDGE: "https://ops.example.com/admin/t/1"}

    assert told(row(group, None, links=stored)).links == stored
    assert ACKNOWLEDGE not in told(row(group, None)).links


def test_message_without_an_address_of_the_persons_own_has_no_personal_link(group, person):
    notification = row(group, person)
    notification.recipient = ""

    assert ACKNOWLEDGE not in told(notification).links


def test_message_for_a_person_never_reaches_a_webhook_that_many_read(group, person, make_provider):
    slack = make_provider(SlackServer)
    channel = made("slack", {"url": f"{slack.base}/services/T01/B02/c3Cr3T"})
    thread = message(thread=group.key.hex)

    outcome = send(channel, thread, user=person, group=group, recipient="U0123456789")

    assert (outcome.verdict, outcome.error_class, outcome.local) == (
        Verdict.REFUSED,
        "address",
        True,
    )
    assert outcome.detail == (
        "This channel of Slack reaches no single persons any more; "
        "choose another way under “My notifications”."
    )
    assert slack.asked == []


def test_message_of_an_older_version_without_a_thread_still_leaves(group, person):
    notification = row(group, person)
    notification.payload["thread"] = ""

    assert ACKNOWLEDGE not in told(notification).links


def test_provider_that_quotes_the_link_does_not_make_it_known(group, person, make_provider):
    telegram = make_provider(TelegramServer)
    channel = made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"})
    telegram.judge = lambda asked: Said(500, asked.body["text"].replace("&amp;", "&"))
    thread = message(thread=group.key.hex)

    outcome = send(channel, thread, user=person, group=group, recipient="42")

    assert "Acknowledge" in outcome.excerpt
    assert "/acknowledge/" not in outcome.excerpt
    quoted = telegram.last.body["text"].rpartition('href="')[2].partition('"')[0]
    assert quoted.rstrip("/").rpartition("/")[2] not in outcome.excerpt


def test_tests_answer_shows_what_the_provider_said(make_provider):
    make_provider(TelegramServer)
    channel = made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"})

    [answer] = send_test(actor=SYSTEM, channel_id=channel.pk)

    assert (answer.delivered, answer.outcome.provider_ref) == (True, "message 77")
    assert answer.outcome.excerpt.startswith('{"ok": true')
    assert Notification.objects.get().provider_ref == "message 77"


def test_test_of_one_person_is_kept_with_that_person(make_provider, person):
    telegram = make_provider(TelegramServer)
    channel = made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"}, is_for_people=True)

    [answer] = send_test(
        actor=SYSTEM, channel_id=channel.pk, recipient="-1001234567890", user_id=person.pk
    )

    assert answer.delivered
    assert "You asked for this test" in telegram.last.body["text"]
    assert (Notification.objects.get().user, Channel.objects.get().fails) == (person, 0)


def test_key_of_a_thread_that_is_none_is_no_reason_to_fail(group, person):
    notification = row(group, person)
    notification.payload["thread"] = str(uuid.uuid4())[:9]

    assert ACKNOWLEDGE not in told(notification).links
