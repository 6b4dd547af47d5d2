"""A message leaves as soon as it is committed where its dispatcher works in the same process."""

import asyncio
import os
import signal
import threading
from dataclasses import replace

import pytest
from django.db import connection, transaction

from core import runner
from core.loops import all_loops, close_pool, in_thread
from notifications.models import Notification
from tests.notifications.conftest import raise_alert, route_all

pytestmark = pytest.mark.django_db(transaction=True)

# So long would a message wait for the next look of a dispatcher that nobody wakes.
FOR_EVER = 3_600.0
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _pool():
    yield
    close_pool()


def unsent() -> bool:
    return Notification.objects.exclude(state="sent").exists()


async def beside_a_dispatcher(scenario) -> None:
    """Run the scenario once the dispatcher has found nothing and sleeps."""
    loop = all_loops()["notifications.dispatch"]
    looked = asyncio.Event()

    def start():
        dispatcher = loop.start()

        class Watched:
            async def __call__(self, held):
                await dispatcher(held)
                looked.set()

            async def drain(self):
                await dispatcher.drain()

            async def close(self):
                await dispatcher.close()

        return Watched()

    patient = replace(loop, period_seconds=FOR_EVER, start=start)
    running = asyncio.create_task(runner._Runner([patient]).main())
    try:
        await asyncio.wait_for(looked.wait(), PATIENCE)
        looked.clear()
        await scenario(looked)
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, PATIENCE)


def test_what_is_routed_leaves_at_once(make_webhook, receiver):
    make_webhook(receiver.url)

    def tell():
        raise_alert()
        route_all()

    async def scenario(_looked):
        await in_thread(tell)
        async with asyncio.timeout(PATIENCE):
            while await in_thread(unsent):  # noqa: ASYNC110  # it happens in the database
                await asyncio.sleep(0.02)

    asyncio.run(beside_a_dispatcher(scenario))

    assert len(receiver.requests) == 1


def test_nobody_is_woken_by_what_is_rolled_back(make_webhook, receiver):
    make_webhook(receiver.url)
    woken = []

    def tell():
        raise_alert()
        with transaction.atomic():
            route_all()
            woken.extend(connection.run_on_commit)
            transaction.set_rollback(True)

    async def scenario(looked):
        thread = threading.Thread(target=with_own_connection, args=(tell,))
        thread.start()
        await asyncio.to_thread(thread.join)
        # Something would have been called at the commit, and nothing was.
        assert woken
        assert not looked.is_set()

    asyncio.run(beside_a_dispatcher(scenario))

    assert Notification.objects.count() == 0
    assert receiver.requests == []


def with_own_connection(call) -> None:
    try:
        call()
    finally:
        connection.close()
