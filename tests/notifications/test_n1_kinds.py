"""Every kind asks for what it needs, says what is wrong, and shows no secret."""

import json

import pytest

from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError
from notifications.engine.kinds import KINDS, Shape, rate_of, usable_address
from notifications.models import Channel
from notifications.services import channels
from tests.notifications.providers import ROUTING_KEY, SLACK_TOKEN, TELEGRAM_TOKEN
from tests.notifications.sending import made

SLACK_URL = "https://hooks.slack.com/services/T01/B02/c3Cr3T"
DISCORD_URL = "https://discord.com/api/webhooks/112233445566/aBcDeFgHiJkLmNoPqRsTuV"
TEAMS_URL = "https://prod-1.westeurope.logic.azure.com:443/workflows/0a/triggers/x?sig=s3cr3t99"
SOUND = {
    "slack": ({"url": SLACK_URL}, "https://hooks.slack.com"),
    "telegram": ({"token": TELEGRAM_TOKEN, "chat_id": "-100123"}, "Telegram, chat -100123"),
    "pagerduty": ({"routing_key": ROUTING_KEY}, "PagerDuty, United States, key …rstu"),
    "discord": ({"url": DISCORD_URL}, "https://discord.com"),
    "teams": ({"url": TEAMS_URL}, "https://prod-1.westeurope.logic.azure.com:443"),
    "ntfy": ({"topic": "alerts-7f3a"}, "https://ntfy.sh, topic al…"),
    "apprise": ({"url": "gotifys://push.example.com/AbcdefTOKEN12"}, "Apprise, gotifys"),
    "webhook": ({"url": "https://hooks.example.com/t0k3n"}, "https://hooks.example.com"),
    "email": ({"recipients": ["ada@example.com"]}, "a…@example.com"),
}


def refused(kind, config) -> dict[str, list[str]]:
    with pytest.raises(InvalidInputError) as error:
        made(kind, config)
    return error.value.errors


def test_kinds_are_those_of_the_model():
    assert set(KINDS) == set(Channel.Kind.values) == set(SOUND)
    assert {name: kind.title for name, kind in KINDS.items()} == dict(Channel.Kind.choices)


def test_every_url_of_a_receiver_is_secret():
    shown = {
        (kind.name, field.name)
        for kind in KINDS.values()
        for field in kind.fields
        if field.shape is Shape.URL and not field.is_secret
    }

    assert shown == {("ntfy", "server")}


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.django_db
def test_sound_settings_are_kept_and_only_the_target_is_told(kind):
    config, target = SOUND[kind]

    channel = made(kind, config)

    stored = Channel.objects.get()
    assert stored.target == target
    assert {name: stored.config[name] for name in config} == config
    told = json.dumps(list(AuditRecord.objects.values()), default=str) + stored.target
    secrets = [config[f.name] for f in KINDS[kind].fields if f.is_secret and f.name in config]
    assert not [secret for secret in secrets if secret in told]
    assert channel.kind == kind


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("slack", {}, "url"),
        ("slack", {"url": SLACK_URL, "token": SLACK_TOKEN, "channel": "#x"}, "url"),
        ("slack", {"token": SLACK_TOKEN}, "channel"),
        ("slack", {"token": "xoxb"}, "token"),
        ("slack", {"url": "https://hooks.slack.com/triggers/T01/1/a"}, "url"),
        ("slack", {"token": SLACK_TOKEN, "channel": "alerts"}, "channel"),
        ("telegram", {"chat_id": "1"}, "token"),
        ("telegram", {"token": TELEGRAM_TOKEN}, "chat_id"),
        ("telegram", {"token": "123:short", "chat_id": "1"}, "token"),
        ("telegram", {"token": TELEGRAM_TOKEN + "/../x", "chat_id": "1"}, "token"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "ops chat"}, "chat_id"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "1", "topic": "x"}, "topic"),
        ("pagerduty", {}, "routing_key"),
        ("pagerduty", {"routing_key": "short"}, "routing_key"),
        ("pagerduty", {"routing_key": ROUTING_KEY, "region": "mars"}, "region"),
        ("discord", {"url": "https://discord.com/channels/1/2"}, "url"),
        ("discord", {"url": "http://10.0.0.1/api/webhooks/112233/aBcDeFgHiJkLmNoPqRsTuV"}, "url"),
        ("teams", {"url": "https://contoso.webhook.office.com/webhookb2/1"}, "url"),
        ("teams", {"url": "https://outlook.office.com/webhook/1"}, "url"),
        ("ntfy", {"topic": "with space"}, "topic"),
        ("ntfy", {"topic": "a" * 65}, "topic"),
        ("ntfy", {"topic": "a", "server": "https://ntfy.sh/x"}, "server"),
        ("ntfy", {"topic": "a", "server": "http://192.168.1.2"}, "server"),
        ("ntfy", {"topic": "a", "token": "password"}, "token"),
        ("apprise", {"url": "syslog://localhost"}, "url"),
        ("apprise", {"url": "file:///etc/passwd"}, "url"),
        ("apprise", {"url": "not a url"}, "url"),
    ],
)
@pytest.mark.django_db
def test_unusable_settings_are_told_by_field_and_change_nothing(kind, config, field):
    errors = refused(kind, config)

    assert list(errors) == [field]
    assert Channel.objects.count() == AuditRecord.objects.count() == 0


@pytest.mark.django_db
def test_apprise_names_the_kind_that_does_it_better():
    assert refused("apprise", {"url": "tgram://123/456"}) == {
        "url": ["Add a channel of kind Telegram instead: it knows the answers."]
    }


@pytest.mark.django_db
def test_retired_connector_of_teams_is_refused_with_the_remedy():
    [told] = refused("teams", {"url": "https://x.webhook.office.com/a"})["url"]

    assert "make a workflow" in told


@pytest.mark.django_db
def test_change_keeps_what_it_does_not_name():
    channel = made("ntfy", {"topic": "alerts-7f3a", "token": "tk_abcdefghijklmnop"})

    channels.update(actor=SYSTEM, channel_id=channel.pk, config={"topic": "other"})
    assert Channel.objects.get().config == {
        "server": "https://ntfy.sh",
        "topic": "other",
        "token": "tk_abcdefghijklmnop",
    }

    channels.update(actor=SYSTEM, channel_id=channel.pk, config={"token": None})
    assert "token" not in Channel.objects.get().config


@pytest.mark.django_db
def test_slack_changes_from_webhook_to_bot_and_back():
    channel = made("slack", {"url": SLACK_URL})

    given = {"token": SLACK_TOKEN, "channel": "#alerts"}
    channels.update(actor=SYSTEM, channel_id=channel.pk, config=given)
    assert Channel.objects.get().config == given
    assert Channel.objects.get().target == "Slack, #alerts"

    channels.update(actor=SYSTEM, channel_id=channel.pk, config={"url": SLACK_URL})
    assert Channel.objects.get().config == {"url": SLACK_URL}


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("telegram", "42"),
        ("ntfy", "my-phone"),
        ("slack", "U0123456789"),
        ("email", "ada@example.com"),
    ],
)
def test_own_address_of_a_person_is_judged_by_the_kind(kind, address):
    assert usable_address(kind, f" {address} ") == address

    with pytest.raises(InvalidInputError) as error:
        usable_address(kind, "no such address!")
    assert list(error.value.errors) == ["address"]


@pytest.mark.parametrize("kind", ["webhook", "pagerduty", "discord", "teams", "apprise"])
def test_kind_without_addresses_of_people_says_so(kind):
    with pytest.raises(InvalidInputError, match="no addresses of single persons"):
        usable_address(kind, "x")


def test_rate_is_the_providers_unless_set():
    assert (rate_of("telegram", None), rate_of("telegram", 5)) == (20, 5)
    assert rate_of("webhook", None) is None
