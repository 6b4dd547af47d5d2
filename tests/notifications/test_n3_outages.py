"""Redis and the database go away while messages are on their way, and come back: none is lost."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import redis

from notifications.models import Event, Notification
from notifications.services.wakeups import CHANNEL
from opsplatform.testing.services import start_redis
from tests.notifications.conftest import raise_alert
from tests.notifications.daemons import PATIENCE, Daemon
from tests.notifications.gates import Gate
from tests.notifications.lives import a_minute_later
from tests.notifications.queued import queue
from tests.notifications.receivers import Answer
from tests.support.platform import free_port

pytestmark = [
    pytest.mark.fault,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
]


def sent() -> int:
    return Notification.objects.filter(state="sent").count()


def arrived(receiver) -> Counter[str]:
    return Counter(request.headers["Idempotency-Key"] for request in receiver.requests)


def all_routed() -> bool:
    return not Event.objects.filter(routed_at=None).exists()


def test_messages_leave_while_redis_is_away_and_after_it_is_back(make_webhook, receiver, tmp_path):
    channel = make_webhook(receiver.url, max_parallel=1)
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    server = start_redis(tmp_path, port)
    held = threading.Event()
    receiver.answers = [Answer(), Answer(), Answer(wait_for=held)]
    try:
        with Daemon(receiver, REDIS_URL=url) as daemon:
            queue(channel, 5)
            # It goes while a message is on its way, and others wait.
            daemon.wait_for(lambda: len(receiver.requests) == 3)
            server.kill()
            server.wait()
            held.set()
            raise_alert(dedup_key="check:away")
            daemon.wait_for(lambda: daemon.says("Redis does not ring for the live feed"))
            queue(channel, 5)
            daemon.wait_for(lambda: sent() == 11)

            server = start_redis(tmp_path, port)
            with redis.Redis.from_url(url) as client, client.pubsub() as bell:
                bell.subscribe(CHANNEL)
                rings = _rings(bell)
                queue(channel, 5)
                number = 0
                # It is left alone for some seconds after it did not answer.
                while not any(rings()):
                    number += 1
                    status = "firing" if number % 2 else "resolved"
                    raise_alert(dedup_key="check:back", transition_seq=number, status=status)
                    daemon.wait_for(all_routed)
                    assert number < PATIENCE
            daemon.wait_for(lambda: sent() >= 17 and not Notification.objects.pending().exists())
    finally:
        server.kill()
        server.wait()

    rows = Notification.objects.filter(state="sent")
    # Nothing was lost, and nothing came twice: Redis knows nothing of messages.
    assert arrived(receiver) == Counter(rows.values_list("idempotency_key", flat=True))
    assert set(rows.values_list("attempts", "uncertain")) == {(1, False)}


def _rings(bell):
    """Return a function that tells what has rung within a second."""

    def heard():
        while (told := bell.get_message(timeout=1)) is not None:
            yield told["type"] == "message"

    return heard


def test_messages_wait_for_a_database_that_went_and_came_back(make_webhook, receiver):
    channel = make_webhook(receiver.url, max_parallel=1)
    held = threading.Event()
    receiver.answers = [*[Answer()] * 5, Answer(wait_for=held)]
    messages = queue(channel, 20)
    with Gate() as gate, Daemon(receiver, DATABASE_URL=gate.url) as daemon:
        # It goes while exactly one message is on its way.
        daemon.wait_for(lambda: len(receiver.requests) == 6 and sent() == 5)
        gate.shut()
        held.set()
        daemon.wait_for(lambda: daemon.says("A channel's worker failed."))
        messages += queue(channel, 10)
        raise_alert()
        daemon.wait_for(lambda: gate.refused >= 5)
        # Whoever has no database sends nothing.
        assert (len(receiver.requests), sent()) == (6, 5)

        # Nobody could give back what was claimed.
        a_minute_later()
        gate.open()
        daemon.wait_for(lambda: sent() == 31)

    rows = Notification.objects.all()
    told = arrived(receiver)
    assert set(told) == set(rows.values_list("idempotency_key", flat=True))
    on_its_way = messages[5]
    on_its_way.refresh_from_db()
    assert [key for key, times in told.items() if times > 1] == [on_its_way.idempotency_key]
    assert told[on_its_way.idempotency_key] == 2
    assert on_its_way.uncertain
    outcomes = on_its_way.history.values_list("number", "outcome")
    assert list(outcomes) == [(1, "unknown"), (2, "delivered")]
