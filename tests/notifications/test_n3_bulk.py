"""Many at once: retry what is dead, send again what was sent, take back what waits."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import Actor
from notifications.models import Notification
from notifications.services import outbox
from notifications.services.outbox import Bulk, Chosen, cancel_all, resend_all, retry_all
from tests.notifications.queued import queue, queue_one

pytestmark = pytest.mark.django_db

OPERATOR = Actor.command("test")


def dead(channel, count=1, **fields):
    return queue(
        channel, count, state="dead", last_error="It answered 401.", wait_seconds=400.0, **fields
    )


def sent(channel, count=1, **fields):
    return queue(channel, count, state="sent", sent_at=timezone.now(), **fields)


def in_state(state: str) -> set[int]:
    return set(Notification.objects.filter(state=state).values_list("pk", flat=True))


def keys(rows) -> set[int]:
    return {row.pk for row in rows}


def test_all_dead_of_one_channel_are_tried_again(make_webhook):
    ours, other = make_webhook(), make_webhook()
    again, untouched, delivered = dead(ours, 3), dead(other, 2), sent(ours)

    assert retry_all(actor=OPERATOR, chosen=Chosen(channel_id=ours.pk)) == Bulk(done=3, left=0)

    assert in_state("pending") == keys(again)
    assert in_state("dead") == keys(untouched)
    assert in_state("sent") == keys(delivered)
    row = Notification.objects.get(pk=again[0].pk)
    assert (row.wait_seconds, row.idempotency_key) == (0.0, again[0].idempotency_key)
    entry = AuditRecord.objects.get(action="notification.retried_all")
    assert '"messages":3' in entry.payload
    assert str(ours.pk) in entry.payload


def test_choice_narrows_by_all_that_it_names(make_webhook):
    channel = make_webhook()
    wanted = dead(channel, 2, severity="warning")
    dead(channel, severity="critical")
    dead(channel, severity="warning", reason="repeat")
    dead(channel, severity="warning", created_at=timezone.now() - timedelta(days=3))
    chosen = Chosen(
        channel_id=channel.pk,
        severity="warning",
        reason="first",
        since=timezone.now() - timedelta(days=1),
    )

    assert retry_all(actor=OPERATOR, chosen=chosen).done == 2

    assert in_state("pending") == keys(wanted)


def test_dead_without_a_channel_stay_dead(make_webhook):
    dead(None, 2)

    assert retry_all(actor=OPERATOR, chosen=Chosen()) == Bulk(done=0, left=0)

    assert len(in_state("dead")) == 2
    assert not AuditRecord.objects.filter(action="notification.retried_all").exists()


def test_a_great_many_are_done_in_portions(make_webhook, monkeypatch):
    monkeypatch.setattr(outbox, "MOST_AT_ONCE", 4)
    rows = dead(make_webhook(), 10)

    assert retry_all(actor=OPERATOR, chosen=Chosen()) == Bulk(done=4, left=6)

    assert in_state("pending") == keys(rows[:4])


def test_sent_ones_are_sent_again_as_new_messages(make_webhook):
    channel = make_webhook()
    first, second = sent(channel, 2)
    sent(channel, reason="test")
    dead(channel)

    assert resend_all(actor=OPERATOR, chosen=Chosen(channel_id=channel.pk)) == Bulk(2, 0)

    repeats = Notification.objects.filter(reason="resend").order_by("pk")
    told = list(repeats.values_list("original", "idempotency_key", "state", "thread_key"))
    assert told == [
        (first.pk, f"{first.idempotency_key}-r1", "pending", first.thread_key),
        (second.pk, f"{second.idempotency_key}-r1", "pending", second.thread_key),
    ]
    assert {row.payload["reason"] for row in repeats} == {"resend"}


def test_resends_of_resends_keep_their_numbers_apart(make_webhook):
    channel = make_webhook()
    [root] = sent(channel)
    resend_all(actor=OPERATOR, chosen=Chosen())
    Notification.objects.update(state="sent", sent_at=timezone.now())

    # The first and its repeat are both sent by now; both count from the first.
    assert resend_all(actor=OPERATOR, chosen=Chosen()).done == 2

    repeats = Notification.objects.filter(original=root).order_by("pk")
    names = [row.idempotency_key.removeprefix(root.idempotency_key) for row in repeats]
    assert names == ["-r1", "-r2", "-r3"]


def test_number_of_a_resend_that_is_gone_does_not_come_again(make_webhook):
    [root] = sent(make_webhook())
    for _ in range(2):
        outbox.resend(actor=OPERATOR, notification_id=root.pk)
    Notification.objects.filter(idempotency_key__endswith="-r1").delete()

    third = outbox.resend(actor=OPERATOR, notification_id=root.pk)

    assert third.idempotency_key == f"{root.idempotency_key}-r3"


def test_waiting_ones_are_taken_back_and_what_is_being_sent_is_not(make_webhook):
    channel = make_webhook()
    waiting, held = queue_one(channel), queue_one(channel, state="held")
    on_its_way = queue_one(
        channel,
        lease_token="11111111-1111-1111-1111-111111111111",
        lease_until=timezone.now() + timedelta(minutes=1),
    )

    assert cancel_all(actor=OPERATOR, chosen=Chosen(channel_id=channel.pk)) == Bulk(2, 0)

    assert in_state("cancelled") == {waiting.pk, held.pk}
    assert in_state("pending") == {on_its_way.pk}
    waiting.refresh_from_db()
    assert waiting.last_error == "Cancelled by command test"


def test_single_ones_may_be_named(make_webhook):
    rows = queue(make_webhook(), 3)

    assert cancel_all(actor=OPERATOR, chosen=Chosen(ids=[rows[1].pk])).done == 1

    assert in_state("cancelled") == {rows[1].pk}
    entry = AuditRecord.objects.get(action="notification.cancelled_all")
    assert f'"chosen":"ids: {rows[1].pk}"' in entry.payload
