"""A hundred thousand messages wait: the urgent go first, and memory stays where it was."""

import asyncio
import tracemalloc

import pytest
from django.db import connection

from benchmarks.served.messages import analyse, fill
from core.loops import close_pool
from notifications.models import Channel, Notification
from notifications.services import claims
from notifications.services.dispatch import Dispatcher
from tests.notifications.queued import queue_one
from tests.notifications.receivers import Answer

pytestmark = [
    pytest.mark.fault,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(600),
]

MANY = 100_000


@pytest.fixture(autouse=True)
def _pool():
    yield
    close_pool()


def plan_of_the_claim(channel: Channel) -> str:
    """Return how the database looks for the next messages in a claim."""
    told: list[str] = []

    def explain(execute, sql, params, many, context):
        if "ORDER BY" in sql and "notifications_notification" in sql and not told:
            word = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
            told.append("")
            with connection.cursor() as cursor:
                cursor.execute(f"{word} {sql}", params)
                told[0] = "\n".join(str(row[-1]) for row in cursor.fetchall())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        claims.claim(channel_id=channel.pk)
    return told[0]


@pytest.mark.parametrize("is_counted", [True, False])
def test_claim_reads_the_next_messages_and_not_the_queue(make_webhook, is_counted):
    channel = make_webhook(max_parallel=10)
    fill(channel.pk, MANY, state="pending")
    if is_counted:
        # Otherwise the database takes the flood for a few rows.
        analyse()
    urgent = queue_one(channel, severity="critical", priority=0)
    Notification.objects.filter(pk=urgent.pk).update(next_at="2020-01-01T00:00:00Z")

    tracemalloc.start()
    held = claims.claim(channel_id=channel.pk)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(held.messages) == 30
    assert held.messages[0].pk == urgent.pk
    assert {row.severity for row in held.messages} == {"critical"}
    # Thirty messages, not a hundred thousand.
    assert most < 20_000_000
    told = plan_of_the_claim(channel)
    assert "notification_due" in told
    # No sort, for that would read the whole queue.
    assert "sort" not in told.lower()
    assert "temp b-tree" not in told.lower()


def test_other_channels_go_on_beside_the_queue_of_a_dead_one(make_webhook, receiver, make_receiver):
    broken = make_receiver()
    broken.answers = [Answer(500) for _ in range(100)]
    dead, well = make_webhook(broken.url, max_parallel=10), make_webhook(receiver.url)
    fill(dead.pk, MANY, state="pending")
    message = queue_one(well)

    async def run() -> None:
        dispatcher = Dispatcher()
        await dispatcher()
        await dispatcher.drain()
        await dispatcher.close()

    asyncio.run(run())

    message.refresh_from_db()
    assert message.state == "sent"
    dead.refresh_from_db()
    assert dead.health == Channel.Health.PAUSED
    # A part of one batch has told that it is dead; the others have not been tried.
    tried = len(broken.requests)
    assert 5 <= tried <= 30
    assert Notification.objects.pending().filter(channel=dead, attempts=0).count() == MANY - tried
