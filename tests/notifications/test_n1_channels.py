"""Channels are changed by audited services, and their secrets stay inside."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import SYSTEM, Actor
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.checks import check_mail_server
from notifications.models import Channel
from notifications.services import channels, environment
from notifications.services.channels import create, delete, rotate_secret, update
from notifications.services.environment import sync_environment_channels
from notifications.services.senders import webhook_config
from tests.notifications.conftest import alert_to

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.com/services/t0p-s3cret"


def change(channel: Channel, **changes) -> Channel:
    kept = {
        "name": channel.name,
        "enabled": channel.enabled,
        "timeout_seconds": channel.timeout_seconds,
        "max_parallel": channel.max_parallel,
    }
    return update(actor=SYSTEM, channel_id=channel.pk, **kept | changes)


def audited() -> list[str]:
    return list(AuditRecord.objects.order_by("id").values_list("action", flat=True))


def test_webhook_gets_a_secret_that_is_told_once():
    made = create(actor=SYSTEM, kind="webhook", name="chat", config={"url": URL})

    stored = Channel.objects.get()
    assert len(made.signing_secret) == 64
    assert made.signing_secret not in repr(made)
    assert webhook_config(stored).secrets == (made.signing_secret,)
    assert (stored.kind, stored.name, stored.target) == (
        "webhook",
        "chat",
        "https://hooks.example.com",
    )
    assert stored.health == Channel.Health.UNTRIED


def test_neither_database_nor_audit_log_hold_a_secret_in_the_clear():
    made = create(actor=SYSTEM, kind="webhook", name="chat", config={"url": URL})
    rotate_secret(actor=SYSTEM, channel_id=made.channel.pk)
    change(made.channel, config={"url": URL + "2"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM notifications_channel")
        stored = str(cursor.fetchall())
    told = json.dumps(list(AuditRecord.objects.values()), default=str)

    assert "t0p-s3cret" not in stored + told
    assert made.signing_secret not in stored + told


def test_creation_is_audited_with_what_may_be_told():
    actor = Actor.command("test")

    create(actor=actor, kind="email", name="team", config={"recipients": ["ada@example.com"]})

    entry = AuditRecord.objects.get()
    assert (entry.action, entry.actor_name) == ("channel.created", "command test")
    assert json.loads(entry.payload)["after"] == {
        "kind": "email",
        "name": "team",
        "target": "a…@example.com",
        "enabled": True,
        "timeout_seconds": 10,
        "max_parallel": 10,
        "rate_per_minute": None,
        "fallback": "",
        "is_for_people": False,
        "template": "",
        "quiet_from": "",
        "quiet_until": "",
        "quiet_days": [],
        "time_zone": "UTC",
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"name": ""}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "taken"}, "name"),
        ({"name": "OPS_ALERT_EMAILS"}, "name"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 31}, "timeout_seconds"),
        ({"max_parallel": 0}, "max_parallel"),
        ({"max_parallel": 51}, "max_parallel"),
        ({"config": {}}, "url"),
        ({"config": {"url": "ftp://example.com/"}}, "url"),
        ({"config": {"url": "https://user:pw@example.com/"}}, "url"),
        ({"config": {"url": "http://127.0.0.1:8000/"}}, "url"),
        ({"config": {"url": "http://169.254.169.254/latest"}}, "url"),
        ({"kind": "email", "config": {}}, "recipients"),
        ({"kind": "email", "config": {"recipients": []}}, "recipients"),
        ({"kind": "email", "config": {"recipients": ["ada"]}}, "recipients"),
        ({"kind": "email", "config": {"recipients": ["a@b.de\r\nBcc: c@d.de"]}}, "recipients"),
        (
            {"kind": "email", "config": {"recipients": [f"a{n}@b.de" for n in range(51)]}},
            "recipients",
        ),
    ],
)
def test_unusable_settings_are_refused_by_field(make_webhook, changes, field):
    make_webhook(name="taken")
    before = audited()
    settings = {"kind": "webhook", "name": "chat", "config": {"url": URL}}

    with pytest.raises(InvalidInputError) as refused:
        create(actor=SYSTEM, **settings | changes)

    assert list(refused.value.errors) == [field]
    assert Channel.objects.count() == 1
    assert audited() == before


def test_refused_address_names_the_variable():
    with pytest.raises(InvalidInputError) as refused:
        create(actor=SYSTEM, kind="webhook", name="x", config={"url": "http://10.0.0.1/"})

    assert "OPS_OUTGOING_ALLOW" in refused.value.errors["url"][0]


def test_addresses_are_kept_once_each(make_mail_channel):
    channel = make_mail_channel("ada@example.com", " ada@example.com ", "bob@exämple.com")

    assert channel.config == {"recipients": ["ada@example.com", "bob@xn--exmple-cua.com"]}


def test_change_without_settings_keeps_url_and_secret(make_webhook):
    channel = make_webhook(URL)
    secrets = webhook_config(channel).secrets

    change(channel, name="renamed")

    stored = Channel.objects.get()
    assert (stored.name, stored.revision) == ("renamed", 2)
    assert webhook_config(stored).url == URL
    assert webhook_config(stored).secrets == secrets


def test_new_url_keeps_the_secret(make_webhook):
    channel = make_webhook(URL)
    secrets = webhook_config(channel).secrets

    changed = change(channel, config={"url": "https://other.example.com/x"})

    assert webhook_config(Channel.objects.get()).secrets == secrets
    assert changed.target == "https://other.example.com"


def test_change_ends_the_pause_of_a_repaired_channel(make_webhook):
    channel = make_webhook()
    Channel.objects.update(fails=7, last_error="It answered 500.", open_until="2099-01-01T00:00Z")

    change(channel)

    stored = Channel.objects.get()
    assert (stored.fails, stored.open_until, stored.last_error) == (0, None, "")


def test_switching_off_is_remembered_and_forgotten(make_webhook):
    channel = change(make_webhook(), enabled=False)
    assert channel.disabled_reason == "Switched off by OpsPlatform"
    assert channel.health == Channel.Health.DISABLED

    assert change(channel, enabled=True).disabled_reason == ""


def test_both_secrets_sign_until_the_old_one_runs_out(make_webhook, time_machine):
    channel = make_webhook()
    [old] = webhook_config(channel).secrets

    new = rotate_secret(actor=SYSTEM, channel_id=channel.pk)

    assert new != old
    assert webhook_config(Channel.objects.get()).secrets == (new, old)
    time_machine.move_to(timezone.now() + timedelta(hours=48, seconds=1))
    assert webhook_config(Channel.objects.get()).secrets == (new,)
    assert audited()[-1] == "channel.secret_rotated"


def test_third_secret_replaces_the_oldest(make_webhook):
    channel = make_webhook()
    second = rotate_secret(actor=SYSTEM, channel_id=channel.pk)
    third = rotate_secret(actor=SYSTEM, channel_id=channel.pk)

    assert webhook_config(Channel.objects.get()).secrets == (third, second)


def test_mail_has_no_secret_to_rotate(make_mail_channel):
    with pytest.raises(InvalidTransitionError):
        rotate_secret(actor=SYSTEM, channel_id=make_mail_channel().pk)


def test_deleted_channel_leaves_its_history_and_cancels_what_waits(make_webhook):
    channel = make_webhook(name="chat")
    message = alert_to(channel)

    delete(actor=SYSTEM, channel_id=channel.pk)

    message.refresh_from_db()
    assert (message.channel, message.channel_name) == (None, "chat")
    assert (message.state, message.last_error) == ("cancelled", "The channel was deleted.")
    entry = AuditRecord.objects.get(action="channel.deleted")
    assert json.loads(entry.payload)["messages_cancelled"] == 1


def test_unknown_channel_is_not_found():
    with pytest.raises(NotFoundError):
        delete(actor=SYSTEM, channel_id="00000000-0000-4000-8000-000000000000")


def test_variables_become_channels(settings):
    settings.MONITORING_ALERT_WEBHOOK = URL
    settings.OPS_ALERT_EMAILS = ("ada@example.com",)

    sync_environment_channels()

    rows = Channel.objects.values_list("name", "kind", "target", "enabled", "managed_by")
    assert list(rows) == [
        ("MONITORING_ALERT_WEBHOOK", "webhook", "https://hooks.example.com", True, "environment"),
        ("OPS_ALERT_EMAILS", "email", "a…@example.com", True, "environment"),
    ]
    assert audited() == ["channel.created", "channel.created"]


def test_doing_it_again_changes_nothing(settings):
    settings.MONITORING_ALERT_WEBHOOK = URL
    sync_environment_channels()
    before = Channel.objects.values().get(), audited()

    sync_environment_channels()

    assert (Channel.objects.values().get(), audited()) == before


def test_without_variables_there_are_no_channels(settings):
    settings.MONITORING_ALERT_WEBHOOK = ""
    settings.OPS_ALERT_EMAILS = ()

    sync_environment_channels()

    assert Channel.objects.count() == 0


def test_variable_that_goes_switches_its_channel_off_and_back_on(settings):
    settings.MONITORING_ALERT_WEBHOOK = URL
    sync_environment_channels()
    settings.MONITORING_ALERT_WEBHOOK = ""

    sync_environment_channels()

    channel = Channel.objects.get()
    assert (channel.enabled, channel.disabled_reason) == (False, "The variable is not set.")
    settings.MONITORING_ALERT_WEBHOOK = URL
    sync_environment_channels()
    channel.refresh_from_db()
    assert (channel.enabled, channel.disabled_reason) == (True, "")
    assert audited() == ["channel.created", "channel.disabled", "channel.updated"]


def test_receiver_that_is_gone_stays_off_until_its_variable_changes(settings):
    settings.MONITORING_ALERT_WEBHOOK = URL
    sync_environment_channels()
    Channel.objects.update(enabled=False, disabled_reason="The receiver answered 410.")

    sync_environment_channels()
    assert not Channel.objects.get().enabled

    settings.MONITORING_ALERT_WEBHOOK = URL + "-new"
    sync_environment_channels()
    assert Channel.objects.get().enabled


def test_variable_with_a_refused_target_does_not_stop_the_others(settings):
    settings.MONITORING_ALERT_WEBHOOK = "http://10.0.0.1/hook"
    settings.OPS_ALERT_EMAILS = ("ada@example.com",)

    sync_environment_channels()

    assert set(Channel.objects.values_list("enabled", flat=True)) == {True}
    assert Channel.objects.count() == 2


@pytest.mark.parametrize("act", ["update", "delete", "rotate"])
def test_channel_of_the_environment_is_changed_there_only(settings, act):
    settings.MONITORING_ALERT_WEBHOOK = URL
    sync_environment_channels()
    channel = Channel.objects.get()
    before = Channel.objects.values().get()
    acts = {
        "update": lambda: change(channel, enabled=False),
        "delete": lambda: delete(actor=SYSTEM, channel_id=channel.pk),
        "rotate": lambda: rotate_secret(actor=SYSTEM, channel_id=channel.pk),
    }

    with pytest.raises(InvalidTransitionError, match="MONITORING_ALERT_WEBHOOK"):
        acts[act]()

    assert Channel.objects.values().get() == before


def test_secret_of_the_environment_lives_in_the_keyring(settings):
    settings.MONITORING_ALERT_WEBHOOK = URL
    sync_environment_channels()

    secret = environment.reveal_webhook_secret(actor=Actor.command("notifications_secret"))

    assert webhook_config(Channel.objects.get()).secrets == (secret,)
    assert "secret" not in Channel.objects.get().config
    assert audited()[-1] == "channel.secret_revealed"
    assert secret not in json.dumps(list(AuditRecord.objects.values()), default=str)


def test_recipients_without_a_mail_server_are_warned_of(settings):
    settings.OPS_ALERT_EMAILS, settings.EMAIL_HOST = ("ada@example.com",), ""
    [warning] = check_mail_server()
    assert (warning.id, "EMAIL_HOST" in warning.hint) == ("notifications.W001", True)

    settings.EMAIL_HOST = "mail.example.com"
    assert check_mail_server() == []


def test_usable_config_keeps_only_what_the_kind_has():
    given = {"url": URL, "secret": "chosen by a stranger", "recipients": ["ada@example.com"]}

    assert channels.usable_config(kind="webhook", config=given) == {"url": URL}
