"""Channels in the console and by API: each kind's own fields, and what is kept when left empty."""

import re

import pytest
from django.urls import reverse

from notifications.engine.kinds import KINDS
from notifications.models import Channel
from tests.notifications.providers import SLACK_TOKEN, TELEGRAM_TOKEN, Said, TelegramServer
from tests.notifications.sending import made

pytestmark = pytest.mark.django_db

ADD = "admin:notifications_channel_add"
SETTINGS = {"name": "chat", "enabled": "on", "timeout_seconds": "10", "max_parallel": "10"}
QUIET = {
    "quiet_from": "22:00",
    "quiet_until": "06:00",
    "quiet_days": ["0", "6"],
    "time_zone": "Europe/Berlin",
}


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def page_of(channel):
    return reverse("admin:notifications_channel_change", args=[channel.pk])


def value_of(page: str, name: str) -> str:
    [found] = re.findall(rf'<input[^>]*name="{name}"[^>]*>', page)
    return (re.findall(r'value="([^"]*)"', found) or [""])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_form_asks_for_what_the_kind_needs(as_role, kind):
    page = as_role("admin").get(reverse(ADD) + f"?kind={kind}").content.decode()

    for field in KINDS[kind].fields:
        assert f'name="{field.name}"' in page
        assert field.label in page
    assert ('name="template"' in page) == KINDS[kind].is_worded
    assert ('name="is_for_people"' in page) == KINDS[kind].takes_addresses


def test_choice_tells_what_each_kind_is(as_role):
    page = as_role("admin").get(reverse(ADD)).content.decode()

    assert all(f"?kind={name}" in page and kind.about in page for name, kind in KINDS.items())


def test_channel_is_added_with_everything(as_role):
    given = {"token": TELEGRAM_TOKEN, "chat_id": "-100123", "topic": "", "template": "$title"}

    as_role("admin").post(reverse(ADD) + "?kind=telegram", SETTINGS | QUIET | given)

    channel = Channel.objects.get()
    assert channel.config == {"token": TELEGRAM_TOKEN, "chat_id": "-100123"}
    assert (channel.quiet_days, channel.time_zone, channel.template) == (
        [0, 6],
        "Europe/Berlin",
        "$title",
    )


def test_saving_what_was_shown_changes_nothing(as_role):
    client = as_role("admin")
    given = {"token": TELEGRAM_TOKEN, "chat_id": "-100123", "topic": "7"}
    client.post(reverse(ADD) + "?kind=telegram", SETTINGS | QUIET | given)
    channel = Channel.objects.get()
    before = channel.config, channel.quiet_days, channel.time_zone, channel.quiet_from

    page = client.get(page_of(channel)).content.decode()
    assert TELEGRAM_TOKEN not in page
    assert value_of(page, "token") == ""
    names = ("name", "chat_id", "topic", "time_zone", "quiet_from", "quiet_until")
    shown = {name: value_of(page, name) for name in names}
    days = re.findall(r'name="quiet_days" value="(\d)"[^>]*checked', page)
    client.post(page_of(channel), SETTINGS | shown | {"quiet_days": days, "token": ""})

    channel = Channel.objects.get()
    after = channel.config, channel.quiet_days, channel.time_zone, channel.quiet_from
    assert after == before


def test_stored_token_can_be_removed(as_role):
    channel = made("ntfy", {"topic": "alerts-7f3a", "token": "tk_abcdefghijklmnop"})
    client = as_role("admin")
    page = client.get(page_of(channel)).content.decode()
    assert "alerts-7f3a" not in page
    assert 'name="remove_token"' in page

    given = {"server": "https://ntfy.sh", "topic": "", "token": "", "remove_token": "on"}
    client.post(page_of(channel), SETTINGS | given)

    assert Channel.objects.get().config == {"server": "https://ntfy.sh", "topic": "alerts-7f3a"}


def test_slack_changes_to_a_bot_in_the_form(as_role):
    channel = made("slack", {"url": "https://hooks.slack.com/services/T01/B02/c3"})

    given = {"url": "", "token": SLACK_TOKEN, "channel": "#alerts"}
    as_role("admin").post(page_of(channel), SETTINGS | given)

    assert Channel.objects.get().config == {"token": SLACK_TOKEN, "channel": "#alerts"}


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("slack", {}, "Enter the URL of an incoming webhook"),
        ("telegram", {"token": "x", "chat_id": "1"}, "@BotFather"),
        ("pagerduty", {"routing_key": "x", "region": "us"}, "32 letters and digits"),
        ("discord", {"url": "https://discord.com/x"}, "/api/webhooks/"),
        ("teams", {"url": "https://x.webhook.office.com/y"}, "are retired"),
        ("ntfy", {"server": "", "topic": "a b"}, "A topic has up to 64"),
        ("apprise", {"url": "syslog://x"}, "syslog:// is not among"),
        ("slack", {"url": "https://a.example/x", "template": "$x"}, "There is no $x."),
    ],
)
def test_mistakes_stand_in_the_form(as_role, kind, given, told):
    page = as_role("admin").post(reverse(ADD) + f"?kind={kind}", SETTINGS | given)

    errors = re.findall(r'<ul class="errorlist".*?</ul>', page.content.decode(), re.DOTALL)
    assert any(told in error for error in errors)
    assert Channel.objects.count() == 0


def test_test_shows_the_providers_answer(as_role, make_provider):
    telegram = make_provider(TelegramServer)
    channel = made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"})
    client = as_role("admin")
    act = {"action": "send_test", "_selected_action": [channel.pk], "confirmed": "yes"}
    url = reverse("admin:notifications_channel_changelist")

    page = client.post(url, act, follow=True).content.decode()
    assert "message 77" in page

    telegram.prepared = [Said(403, {"ok": False, "description": "Forbidden: bot was kicked"})]
    page = client.post(url, act, follow=True).content.decode()
    assert "Telegram answered 403: Forbidden: bot was kicked." in page
    assert "Unblock the bot, or add it to the group again." in page
    assert TELEGRAM_TOKEN not in page


def test_all_mistakes_of_a_form_stand_together(as_role):
    given = {"token": "bad", "chat_id": "", "topic": "x"}

    page = as_role("admin").post(reverse(ADD) + "?kind=telegram", SETTINGS | given)

    errors = re.findall(r'<ul class="errorlist".*?</ul>', page.content.decode(), re.DOTALL)
    told = " ".join(errors)
    assert "@BotFather" in told
    assert "This field is required." in told
    assert "The ID of a topic is a number." in told


def test_more_channels_than_are_tested_at_once_are_named(as_role, make_provider):
    telegram = make_provider(TelegramServer)
    rows = [
        made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "42"}, name=f"chat {number}")
        for number in range(4)
    ]
    act = {
        "action": "send_test",
        "_selected_action": [row.pk for row in rows],
        "confirmed": "yes",
    }

    url = reverse("admin:notifications_channel_changelist")
    page = as_role("admin").post(url, act, follow=True).content.decode()

    assert len(telegram.asked) == 3
    assert "3 channels are tested at once; the others were not." in page
