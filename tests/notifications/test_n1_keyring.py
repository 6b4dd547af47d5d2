"""A keyring that opens nothing concerns the channels it sealed, and never stops the alerts."""

import asyncio
import json

import pytest

from audit.models import AuditRecord
from core import leases
from core.actors import SYSTEM
from core.errors import InvalidTransitionError, UnavailableError
from core.keyring import KeyringError
from core.logs import encode
from core.loops import close_pool
from notifications.loops import start_routing
from notifications.models import Channel, Notification
from notifications.services import channels
from notifications.services.environment import sync_environment_channels
from notifications.services.senders import webhook_config
from notifications.services.testing import send_test
from tests.notifications.conftest import raise_alert, route_all
from tests.support.keyrings import SPOILED, spoil

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.com/x"


@pytest.fixture
def in_environment(settings):
    """Take over both channels that variables name."""
    settings.MONITORING_ALERT_WEBHOOK = URL
    settings.OPS_ALERT_EMAILS = ("ada@example.com",)
    assert sync_environment_channels() is True


@SPOILED
def test_webhooks_get_their_messages(make_webhook, settings, tmp_path, how):
    channel = make_webhook()
    spoil(settings, tmp_path / "ring", how)
    raise_alert()

    assert route_all() == 1
    assert Notification.objects.get().channel_id == channel.pk


@pytest.mark.parametrize("how", ["missing", "exposed"])
def test_alerts_wait_for_a_keyring_that_can_tell_the_recipients(
    make_webhook, make_mail_channel, settings, tmp_path, how
):
    make_webhook()
    make_mail_channel("ada@example.com")
    ring = settings.KEYRING
    spoil(settings, tmp_path / "ring", how)
    event = raise_alert()

    with pytest.raises(KeyringError):
        route_all()

    event.refresh_from_db()
    assert (event.routed_at, Notification.objects.count()) == (None, 0)
    settings.KEYRING = ring
    assert route_all() == 1
    told = set(Notification.objects.values_list("recipient", "state"))
    assert told == {("", "pending"), ("ada@example.com", "pending")}


@pytest.mark.parametrize("how", ["missing", "exposed"])
def test_a_test_of_a_mail_channel_says_what_to_repair(make_mail_channel, settings, tmp_path, how):
    channel = make_mail_channel()
    spoil(settings, tmp_path / "ring", how)

    with pytest.raises(UnavailableError, match="keyring cannot be read"):
        send_test(actor=SYSTEM, channel_id=channel.pk)

    assert Notification.objects.count() == 0
    assert not AuditRecord.objects.filter(action="channel.tested").exists()


@SPOILED
def test_a_signing_secret_is_not_replaced_in_silence(make_webhook, settings, tmp_path, how):
    channel = make_webhook()
    spoil(settings, tmp_path / "ring", how)

    with pytest.raises(InvalidTransitionError, match="restore it, or delete the channel"):
        channels.rotate_secret(actor=SYSTEM, channel_id=channel.pk)

    assert Channel.objects.get().revision == 1


@SPOILED
def test_the_page_of_a_mail_channel_is_shown(
    make_mail_channel, console, make_user, settings, tmp_path, how
):
    channel = make_mail_channel()
    client = console(make_user(role="admin"))
    spoil(settings, tmp_path / "ring", how)

    page = client.get(f"/admin/notifications/channel/{channel.pk}/change/")

    assert page.status_code == 200
    assert b"ada@example.com" not in page.content


@pytest.mark.parametrize("how", ["missing", "exposed"])
def test_channels_of_the_environment_stay_as_they_are(
    in_environment, settings, tmp_path, caplog, how
):
    before = list(Channel.objects.values())
    ring = settings.KEYRING
    spoil(settings, tmp_path / "ring", how)

    assert sync_environment_channels() is False

    told = [json.loads(encode(line))["context"] for line in caplog.records]
    assert told == [{"variable": "MONITORING_ALERT_WEBHOOK"}, {"variable": "OPS_ALERT_EMAILS"}]
    settings.KEYRING = ring
    assert list(Channel.objects.values()) == before
    assert (tmp_path / "ring" / "FIELD_KEY.json").exists() is (how == "exposed")


def test_channels_of_the_environment_are_sealed_anew_with_another_key(
    in_environment, settings, tmp_path
):
    spoil(settings, tmp_path / "ring", "another")

    assert sync_environment_channels() is True
    assert webhook_config(Channel.objects.get(kind="webhook")).url == URL


@SPOILED
def test_one_variable_does_not_hold_up_the_other(in_environment, settings, tmp_path, how):
    spoil(settings, tmp_path / "ring", how)
    (tmp_path / "ring" / "MONITORING_ALERT_WEBHOOK_SECRET.json").write_text("broken")
    settings.OPS_ALERT_EMAILS = ()

    assert sync_environment_channels() is False

    enabled = dict(Channel.objects.values_list("kind", "enabled"))
    assert enabled == {"webhook": True, "email": False}


def test_an_unusable_variable_is_named_in_the_log(settings, caplog):
    settings.MONITORING_ALERT_WEBHOOK = "http://10.0.0.1/hook"

    sync_environment_channels()

    context = json.loads(encode(caplog.records[0]))["context"]
    assert context["variable"] == "MONITORING_ALERT_WEBHOOK"
    assert "OPS_OUTGOING_ALLOW" in context["reasons"][0]


@pytest.mark.django_db(transaction=True)
def test_the_loop_routes_all_the_same_and_takes_the_channels_over_later(
    settings, tmp_path, monkeypatch, make_webhook
):
    make_webhook()
    settings.OPS_ALERT_EMAILS = ("bob@example.com",)
    ring = settings.KEYRING
    spoil(settings, tmp_path / "ring", "exposed")
    monkeypatch.setattr("notifications.loops.SYNC_AGAIN_SECONDS", 0)
    raise_alert()
    held = leases.acquire(name="notifications.route", seconds=60)

    async def scenario():
        run = start_routing()
        await run(held)
        settings.KEYRING = ring
        await run(held)

    asyncio.run(scenario())
    close_pool()

    assert Notification.objects.count() == 1
    assert Channel.objects.get(kind="email").config == {"recipients": ["bob@example.com"]}
