"""Fallback, quiet hours, people and text of a channel: judged together, refused by field."""

from datetime import time

import pytest

from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError
from notifications.models import Channel, EscalationChain, EscalationStep, Route
from notifications.services import channels, environment
from notifications.services.testing import send_test
from tests.notifications.providers import SLACK_TOKEN
from tests.notifications.sending import made

pytestmark = pytest.mark.django_db


def change(channel, **given):
    return channels.update(actor=SYSTEM, channel_id=channel.pk, **given)


def test_settings_are_kept_and_audited(make_webhook, make_mail_channel):
    channel, stand_in = make_mail_channel(), make_webhook(name="stand-in")

    change(
        channel,
        rate_per_minute=7,
        fallback=stand_in,
        template="$title at $time",
        quiet_from=time(22),
        quiet_until=time(6),
        quiet_days=[6, 0, 6],
        time_zone="Europe/Berlin",
    )

    stored = Channel.objects.get(pk=channel.pk)
    assert (stored.rate_per_minute, stored.fallback) == (7, stand_in)
    assert (stored.quiet_from, stored.quiet_until, stored.quiet_days) == (
        time(22),
        time(6),
        [0, 6],
    )
    assert (stored.template, stored.time_zone) == ("$title at $time", "Europe/Berlin")
    told = AuditRecord.objects.filter(action="channel.updated").get().payload
    assert '"fallback":"stand-in"' in told.replace(" ", "")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"rate_per_minute": 0}, "rate_per_minute"),
        ({"template": "$nonsense"}, "template"),
        ({"template": "costs 5$"}, "template"),
        ({"template": "x" * 4_001}, "template"),
        ({"quiet_from": time(22)}, "quiet_until"),
        ({"quiet_from": time(22), "quiet_until": time(22)}, "quiet_until"),
        ({"quiet_days": [7]}, "quiet_days"),
        ({"quiet_days": ["0"]}, "quiet_days"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ],
)
def test_unusable_settings_are_refused_by_field(make_mail_channel, given, field):
    channel = make_mail_channel()
    before = Channel.objects.values().get()

    with pytest.raises(InvalidInputError) as refused:
        change(channel, **given)

    assert list(refused.value.errors) == [field]
    assert Channel.objects.values().get() == before


def test_channels_cannot_stand_in_for_each_other_in_a_circle(make_webhook):
    first, second, third = make_webhook(), make_webhook(), make_webhook()
    change(first, fallback=second)
    change(second, fallback=third)

    for stand_in in (first, third):
        with pytest.raises(InvalidInputError) as refused:
            change(third, fallback=stand_in)
        assert list(refused.value.errors) == ["fallback"]

    third.refresh_from_db()
    assert third.fallback is None


def test_channel_for_people_has_no_receiver_to_fall_back_on(make_webhook, make_mail_channel):
    people = make_mail_channel(is_for_people=True)

    with pytest.raises(InvalidInputError) as refused:
        change(make_webhook(), fallback=people)

    assert list(refused.value.errors) == ["fallback"]


def test_only_kinds_with_addresses_are_for_people(make_webhook):
    for channel in (make_webhook(), made("slack", {"url": "https://hooks.slack.com/services/a"})):
        with pytest.raises(InvalidInputError) as refused:
            change(channel, is_for_people=True)
        assert list(refused.value.errors) == ["is_for_people"]

    bot = made("slack", {"token": SLACK_TOKEN, "channel": "#alerts"}, name="bot")
    assert change(bot, is_for_people=True).is_for_people


def test_text_belongs_to_kinds_that_people_read(make_webhook):
    with pytest.raises(InvalidInputError) as refused:
        change(make_webhook(), template="$title")

    assert refused.value.errors == {"template": ["This kind sends data, not a text."]}


def test_channel_in_use_is_not_deleted(make_webhook):
    channel = make_webhook()
    route = Route.objects.create(name="Night")
    route.channels.add(channel)
    chain = EscalationChain.objects.create(name="Duty")
    EscalationStep.objects.create(chain=chain, position=1).channels.add(channel)

    with pytest.raises(InvalidTransitionError, match="route Night, escalation Duty"):
        channels.delete(actor=SYSTEM, channel_id=channel.pk)

    assert Channel.objects.count() == 1


def test_mail_server_makes_a_channel_for_people(settings):
    settings.EMAIL_HOST, settings.OPS_ALERT_EMAILS = "mail.example.com", ()

    environment.sync_environment_channels()

    channel = Channel.objects.get()
    assert (channel.name, channel.kind, channel.is_for_people, channel.config) == (
        "E-mail to people",
        "email",
        True,
        {"recipients": []},
    )
    assert channel.target == "People, by their own addresses"
    before = Channel.objects.values().get()
    environment.sync_environment_channels()
    assert Channel.objects.values().get() == before
    with pytest.raises(InvalidTransitionError, match="EMAIL_HOST"):
        change(channel, enabled=False)


def test_channel_for_people_is_tested_by_a_persons_address(settings, mailbox):
    environment.sync_environment_channels()
    channel = Channel.objects.get()
    with pytest.raises(InvalidTransitionError, match="no recipients of its own"):
        send_test(actor=SYSTEM, channel_id=channel.pk)

    [answer] = send_test(actor=SYSTEM, channel_id=channel.pk, recipient="ada@example.com")

    assert answer.delivered
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ada@example.com"]]
