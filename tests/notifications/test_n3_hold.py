"""After a restore nothing leaves until somebody has looked at what waits."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import Actor
from core.errors import InvalidTransitionError
from notifications.models import DispatchHold, Notification
from notifications.selectors import holds as selected
from notifications.services import holds
from notifications.services.claims import channels_due, claim, expire
from tests.notifications.queued import queue, queue_one

pytestmark = pytest.mark.django_db

OPERATOR = Actor.command("test")


def hold_with_old_and_new(channel) -> tuple[Notification, Notification]:
    """Place a hold between two messages."""
    old = queue_one(channel, created_at=timezone.now() - timedelta(hours=30))
    Notification.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(hours=6))
    holds.place(actor=OPERATOR, reason="Restored from Monday.")
    return old, queue_one(channel)


def test_nothing_is_claimed_and_nothing_dies_while_messages_are_held_back(make_webhook):
    channel = make_webhook()
    old, new = hold_with_old_and_new(channel)

    assert channels_due() == []
    assert claim(channel_id=channel.pk) is None
    assert expire() == 0

    states = dict(Notification.objects.values_list("pk", "state"))
    assert states == {old.pk: "pending", new.pk: "pending"}
    entry = AuditRecord.objects.get(action="dispatch.held")
    assert entry.reason == "Restored from Monday."


def test_a_second_hold_changes_nothing(make_webhook):
    first = holds.place(actor=OPERATOR, reason="Restored from Monday.")

    second = holds.place(actor=Actor.command("other"), reason="Again.")

    assert (second.since, second.reason) == (first.since, "Restored from Monday.")
    assert AuditRecord.objects.filter(action="dispatch.held").count() == 1


def test_what_waits_is_counted_apart(make_webhook):
    hold_with_old_and_new(make_webhook())

    waiting = selected.waiting(selected.current())

    assert (waiting.before, waiting.since) == (1, 1)
    assert (timezone.now() - waiting.oldest_at).total_seconds() == pytest.approx(108_000, abs=60)


def test_release_cancels_the_past_and_sends_the_rest(make_webhook):
    channel = make_webhook()
    old, new = hold_with_old_and_new(channel)

    assert holds.release(actor=OPERATOR, cancel_old=True) == 1

    old.refresh_from_db()
    assert old.state == "cancelled"
    assert old.last_error == "From before the restore; cancelled by command test"
    assert [row.pk for row in claim(channel_id=channel.pk).messages] == [new.pk]
    entry = AuditRecord.objects.get(action="dispatch.released")
    assert '"messages":1' in entry.payload
    assert '"old":"cancelled"' in entry.payload


def test_release_may_send_the_past_with_a_new_lifetime(make_webhook):
    channel = make_webhook()
    old, new = hold_with_old_and_new(channel)

    assert holds.release(actor=OPERATOR, cancel_old=False) == 1

    assert {row.pk for row in claim(channel_id=channel.pk).messages} == {old.pk, new.pk}
    old.refresh_from_db()
    assert (old.expires_at - timezone.now()).total_seconds() == pytest.approx(86_400, abs=60)


def test_there_is_nothing_to_release_without_a_hold(make_webhook):
    queue(make_webhook())

    with pytest.raises(InvalidTransitionError, match="not held back"):
        holds.release(actor=OPERATOR, cancel_old=True)

    assert Notification.objects.get().state == "pending"
    assert not AuditRecord.objects.filter(action="dispatch.released").exists()


def test_there_is_one_hold_at_most(db):
    holds.place(actor=OPERATOR, reason="Restored.")

    with pytest.raises(IntegrityError), transaction.atomic():
        DispatchHold.objects.bulk_create([DispatchHold(id=2, reason="x", placed_by="y")])


def test_command_holds_and_releases(make_webhook, capsys):
    queue(make_webhook(), created_at=timezone.now() - timedelta(hours=1))

    call_command("notifications_hold", "--reason", "Restored by hand.")
    assert "1 wait from before" in capsys.readouterr().out
    assert selected.current().placed_by == "command notifications_hold"

    call_command("notifications_hold", "--release", "cancel")
    assert "1 from before the hold are cancelled" in capsys.readouterr().out
    assert selected.current() is None

    with pytest.raises(CommandError, match="not held back"):
        call_command("notifications_hold", "--release", "send")
