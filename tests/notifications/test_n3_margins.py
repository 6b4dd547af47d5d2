"""What is on its way keeps within the lease, and within the time that a stop gives."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from core import runner
from core.loops import close_pool
from notifications.models import Notification
from notifications.services import dispatch, senders
from notifications.services.claims import claim
from notifications.services.dispatch import Batch, Dispatcher
from tests.notifications.conftest import alert_to, raise_alert, route_all
from tests.notifications.receivers import Answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _pool():
    yield
    close_pool()


@pytest.mark.parametrize(("margin", "requests"), [(4.5, 0), (6.0, 1)])
def test_nothing_leaves_whose_outcome_could_not_be_written_in_time(
    make_webhook, receiver, margin, requests
):
    channel = make_webhook(receiver.url)
    alert_to(channel)
    held = claim(channel_id=channel.pk)
    assert held is not None
    held = replace(held, deadline=time.monotonic() + channel.timeout_seconds + margin)

    async def run() -> list[Notification]:
        sender = senders.prepare(channel)()
        batch = Batch(held, sender)
        await batch.send(held.messages[0])
        await sender.close()
        return batch.unsent()

    unsent = asyncio.run(run())

    assert len(receiver.requests) == requests
    assert len(unsent) == 1 - requests


def test_a_receiver_that_hangs_holds_up_no_stop(make_webhook, receiver, monkeypatch):
    release = threading.Event()
    make_webhook(receiver.url, max_parallel=1)
    for number in range(3):
        raise_alert(dedup_key=f"check:{number}")
    route_all()
    receiver.answers = [Answer(wait_for=release)]
    monkeypatch.setattr(dispatch, "STOP_SECONDS", 0.1)

    async def run() -> float:
        dispatcher = Dispatcher()
        await dispatcher()
        while not receiver.requests:  # noqa: ASYNC110  # it happens in another thread
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await dispatcher.close()
        return time.monotonic() - began

    took = asyncio.run(run())
    release.set()

    assert took < 5
    rows = Notification.objects.order_by("-attempts").values_list("state", "attempts")
    assert list(rows) == [("pending", 1), ("pending", 0), ("pending", 0)]
    assert Notification.objects.filter(lease_token__isnull=False).count() == 1


def test_a_stop_waits_less_than_the_daemon_does():
    assert dispatch.STOP_SECONDS < runner._GRACE_SECONDS
