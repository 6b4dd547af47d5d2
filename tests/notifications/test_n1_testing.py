"""A test through a channel tells what the receiver's side answers, and stays in the history."""

import json

import pytest

from audit.models import AuditRecord
from core.actors import SYSTEM, Actor
from core.errors import NotConfiguredError, NotFoundError
from notifications.models import Channel, Notification
from notifications.services.senders import prepare
from notifications.services.testing import send_test
from tests.notifications.conftest import break_seal
from tests.notifications.providers import TELEGRAM_TOKEN, Said, TelegramServer
from tests.notifications.receivers import Answer
from tests.notifications.sending import made

pytestmark = pytest.mark.django_db


def run(channel: Channel):
    return send_test(actor=Actor.command("test"), channel_id=channel.pk)


def test_accepted_test_is_a_message_with_its_history(make_webhook, receiver):
    channel = make_webhook(receiver.url)

    [answer] = run(channel)

    assert (answer.delivered, answer.outcome.status_code) == (True, 200)
    message = Notification.objects.get(pk=answer.notification_id)
    assert (message.state, message.reason, message.attempts) == ("sent", "test", 1)
    assert message.history.get().outcome == "delivered"
    body = json.loads(receiver.requests[0].body)
    assert (body["reason"], body["event"]["title"]) == ("test", "Test of this channel")
    channel.refresh_from_db()
    assert channel.health == Channel.Health.WORKING
    entry = AuditRecord.objects.get(action="channel.tested")
    assert (entry.actor_name, entry.target_name) == ("command test", channel.name)


def test_refused_test_tells_the_answer(make_webhook, receiver):
    receiver.answers = [Answer(401, b"unknown signature")]

    [answer] = run(make_webhook(receiver.url))

    assert (answer.delivered, answer.outcome.status_code) == (False, 401)
    assert answer.outcome.excerpt == "unknown signature"
    assert Notification.objects.get().state == "dead"


def test_failed_test_is_not_tried_again(make_webhook, receiver):
    receiver.answers = [Answer(503)]

    [answer] = run(make_webhook(receiver.url))

    assert not answer.delivered
    assert Notification.objects.get().state == "dead"


def test_disabled_channel_can_be_tested_before_it_is_switched_on(make_webhook, receiver):
    channel = make_webhook(receiver.url, enabled=False)

    [answer] = run(channel)

    assert answer.delivered
    channel.refresh_from_db()
    assert not channel.enabled


def test_success_ends_the_pause(make_webhook, receiver):
    channel = make_webhook(receiver.url)
    Channel.objects.update(fails=9, open_until="2099-01-01T00:00Z", last_error="It answered 500.")

    run(channel)

    channel.refresh_from_db()
    assert (channel.fails, channel.open_until, channel.last_error) == (0, None, "")


def test_every_recipient_is_tested_and_told_without_the_address(make_mail_channel, mailbox):
    answers = run(make_mail_channel("ada@example.com", "bob@example.com"))

    assert [(answer.recipient, answer.delivered) for answer in answers] == [
        ("a…@example.com", True),
        ("b…@example.com", True),
    ]
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ada@example.com"], ["bob@example.com"]]


def test_server_without_an_answer_ends_the_test(make_mail_channel, mailbox):
    mailbox.refusals = {"ada@example.com": "451 Come back later"}

    answers = run(make_mail_channel("ada@example.com", "bob@example.com"))

    assert [answer.recipient for answer in answers] == ["a…@example.com"]
    rows = dict(Notification.objects.values_list("recipient", "state"))
    assert rows == {"ada@example.com": "dead", "bob@example.com": "cancelled"}
    assert mailbox.mails == []


def test_recipients_that_do_not_unseal_are_named_as_the_cause(make_mail_channel, mailbox):
    channel = make_mail_channel()
    break_seal(channel)

    [answer] = run(channel)

    assert (answer.delivered, answer.outcome.error_class) == (False, "unsealed")
    assert Notification.objects.get().last_error == (
        "The keyring could not open this channel's recipients; enter them again."
    )
    assert mailbox.mails == []


def test_missing_mail_server_is_named(make_mail_channel, settings):
    settings.EMAIL_HOST = ""

    [answer] = run(make_mail_channel())

    assert answer.outcome.detail == "No mail server is configured; set EMAIL_HOST."


def test_drill_copy_sends_no_test(make_webhook, receiver, settings):
    channel = make_webhook(receiver.url)
    settings.OPS_MODE = "drill"

    with pytest.raises(NotConfiguredError, match="OPS_MODE=drill"):
        run(channel)

    assert (receiver.requests, Notification.objects.count()) == ([], 0)


def test_drill_copy_opens_no_way_to_a_receiver(make_webhook, make_mail_channel, settings):
    channels = [make_webhook(), make_mail_channel()]
    settings.OPS_MODE, settings.EMAIL_HOST = "drill", "127.0.0.1"

    for channel in channels:
        with pytest.raises(NotConfiguredError, match="OPS_MODE=drill"):
            prepare(channel)


def test_unknown_channel_is_not_found():
    with pytest.raises(NotFoundError):
        send_test(actor=SYSTEM, channel_id="00000000-0000-4000-8000-000000000000")


def test_wrong_address_of_one_person_pauses_the_channel_for_nobody(make_provider, make_user):
    telegram = make_provider(TelegramServer)
    channel = made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"})
    ada = make_user(role="operator")
    telegram.prepared = [
        Said(400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})
        for _ in range(6)
    ]

    for _ in range(6):
        [answer] = send_test(actor=SYSTEM, channel_id=channel.pk, recipient="1", user_id=ada.pk)
        assert not answer.delivered

    channel.refresh_from_db()
    assert (channel.fails, channel.open_until, channel.last_error) == (0, None, "")
    assert Notification.objects.filter(state="dead").count() == 6


def test_address_of_many_that_is_refused_counts_against_its_channel(make_provider):
    telegram = make_provider(TelegramServer)
    channel = made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"})
    telegram.prepared = [
        Said(400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})
    ]

    send_test(actor=SYSTEM, channel_id=channel.pk)

    channel.refresh_from_db()
    assert channel.fails == 1
