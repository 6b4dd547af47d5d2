"""Receivers that reset, and say odd times; a database that hangs up on its dispatcher."""

import asyncio
import socket
import struct
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core.loops import close_pool, in_thread
from notifications.models import Channel, Notification
from notifications.services.dispatch import Dispatcher
from tests.notifications.queued import queue, queue_one
from tests.notifications.receivers import Answer

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _pool():
    yield
    close_pool()


async def once() -> None:
    """Send all that is due and wait for the end."""
    dispatcher = Dispatcher()
    await dispatcher()
    await dispatcher.drain()
    await dispatcher.close()


@pytest.fixture
def resetting(settings):
    """Serve a port that takes a request and resets the connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(1)
                # Closed without lingering: the other side sees a reset.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=serve)
    thread.start()
    port = server.getsockname()[1]
    settings.OPS_OUTGOING_ALLOW = (f"127.0.0.1:{port}",)
    yield f"http://127.0.0.1:{port}/"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_receiver_that_resets_is_tried_again_and_may_have_got_it(make_webhook, resetting):
    message = queue_one(make_webhook(resetting))

    asyncio.run(once())

    message.refresh_from_db()
    assert (message.state, message.uncertain) == ("pending", True)
    assert message.history.get().outcome == "retry"


@pytest.mark.parametrize("said", ["soon", "-5", "0", "1e9", "", "١٢"])
def test_time_that_makes_no_sense_is_not_heard(make_webhook, receiver, said):
    message = queue_one(make_webhook(receiver.url), severity="warning")
    receiver.answers = [Answer(429, headers={"Retry-After": said.encode().decode("latin-1")})]

    asyncio.run(once())

    message.refresh_from_db()
    assert message.history.get().retry_after_seconds is None
    assert (message.next_at - timezone.now()) < timedelta(minutes=1)
    # Without a time it counts as a failure like others.
    assert Channel.objects.get().fails == 1


def test_a_day_holds_up_the_message_but_not_the_channel(make_webhook, receiver):
    message = queue_one(make_webhook(receiver.url), severity="warning")
    receiver.answers = [Answer(429, headers={"Retry-After": "86400"})]

    asyncio.run(once())

    message.refresh_from_db()
    # Its last try comes before it expires.
    assert message.next_at < message.expires_at
    assert (message.next_at - timezone.now()) > timedelta(hours=23)
    held_up = Channel.objects.get().tokens_at - timezone.now()
    assert held_up < timedelta(minutes=16)


@pytest.mark.postgres
def test_dispatcher_whose_connections_break_goes_on_with_new_ones(make_webhook, receiver):
    channel = make_webhook(receiver.url, max_parallel=1)
    queue(channel, 3)

    def hang_up() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def run() -> None:
        dispatcher = Dispatcher()
        await in_thread(Notification.objects.count)
        # What the pool's threads held is gone before they look at the outbox.
        await asyncio.to_thread(with_own_connection, hang_up)
        await dispatcher()
        await dispatcher.drain()
        await dispatcher.close()

    asyncio.run(run())
    connection.close()

    assert set(Notification.objects.values_list("state", flat=True)) == {"sent"}


def with_own_connection(call) -> None:
    try:
        call()
    finally:
        connection.close()
