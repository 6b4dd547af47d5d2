"""A disk that takes no more: messages wait, the process lives, and all leave once there is room."""

from __future__ import annotations

import threading
from collections import Counter

import psutil
import pytest
from django.db import connection

from notifications.models import DeliveryAttempt, Notification
from tests.notifications.conftest import raise_alert
from tests.notifications.daemons import Daemon
from tests.notifications.lives import a_minute_later
from tests.notifications.queued import queue
from tests.notifications.receivers import Answer

pytestmark = [
    pytest.mark.fault,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
]


@pytest.fixture(autouse=True)
def _own_disk():
    if connection.vendor != "sqlite":
        pytest.skip("The disk of a server is not this machine's.")


def fill_disk(process: psutil.Process) -> None:
    """Let this process write nothing more into any file; pipes and sockets go on."""
    _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, hard))


def make_room(process: psutil.Process) -> None:
    _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))


def sent() -> int:
    return Notification.objects.filter(state="sent").count()


def test_messages_wait_for_room_on_the_disk(make_webhook, receiver):
    channel = make_webhook(receiver.url, max_parallel=1)
    held = threading.Event()
    receiver.answers = [*[Answer()] * 5, Answer(wait_for=held)]
    messages = queue(channel, 20)
    with Daemon(receiver) as daemon:
        process = psutil.Process(daemon.process.pid)
        daemon.wait_for(lambda: len(receiver.requests) == 6 and sent() == 5)
        fill_disk(process)
        held.set()
        # What came of the message that is on its way cannot be written, nor can others be claimed.
        daemon.wait_for(lambda: daemon.says("A channel's worker failed."))
        raise_alert()
        daemon.wait_for(lambda: daemon.says("The loop notifications.route has no database"))
        assert (len(receiver.requests), sent()) == (6, 5)
        assert Notification.objects.count() == 20
        assert DeliveryAttempt.objects.count() == 5

        make_room(process)
        a_minute_later()
        daemon.wait_for(lambda: sent() == 21)

    told = Counter(request.headers["Idempotency-Key"] for request in receiver.requests)
    rows = Notification.objects.values_list("idempotency_key", flat=True)
    on_its_way = messages[5]
    assert told == Counter({key: 1 + (key == on_its_way.idempotency_key) for key in rows})
    assert list(on_its_way.history.values_list("outcome", flat=True)) == ["unknown", "delivered"]
