"""The commands that send and that tell the signing secret."""

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditRecord
from core import leases
from core.loops import all_loops, close_pool
from notifications.models import Channel, Notification
from notifications.services.senders import webhook_config
from tests.notifications.conftest import raise_alert

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _pool():
    yield
    close_pool()


def test_once_takes_over_variables_routes_and_sends(receiver, settings, capsys):
    settings.MONITORING_ALERT_WEBHOOK = receiver.url
    raise_alert()

    call_command("notifications_dispatch", "--once")

    assert Channel.objects.get().is_managed_by_environment
    assert Notification.objects.get().state == "sent"
    assert len(receiver.requests) == 1
    assert capsys.readouterr().out == ""


def test_once_leaves_the_work_to_the_daemon_that_does_it(make_webhook, receiver, capsys):
    make_webhook(receiver.url)
    raise_alert()
    for name in ("notifications.route", "notifications.dispatch"):
        assert leases.acquire(name=name, seconds=15) is not None

    call_command("notifications_dispatch", "--once")

    assert (Notification.objects.count(), receiver.requests) == (0, [])
    assert capsys.readouterr().out.splitlines() == [
        "notifications.route: another process holds the lease and does the work.",
        "notifications.dispatch: another process holds the lease and does the work.",
    ]


def test_drill_copy_refuses_to_send(settings):
    settings.OPS_MODE = "drill"

    with pytest.raises(CommandError, match="drill"):
        call_command("notifications_dispatch", "--once")


def test_secret_is_printed_alone_and_the_look_is_audited(settings, capsys):
    settings.MONITORING_ALERT_WEBHOOK = "https://hooks.example.com/x"
    call_command("notifications_dispatch", "--once")

    call_command("notifications_secret")

    printed = capsys.readouterr().out
    assert webhook_config(Channel.objects.get()).secrets == (printed.strip(),)
    entry = AuditRecord.objects.get(action="channel.secret_revealed")
    assert entry.actor_key == "notifications_secret"


def test_loops_are_found_by_the_daemon():
    assert {"notifications.route", "notifications.dispatch"} <= set(all_loops())
