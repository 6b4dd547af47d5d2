"""The dispatcher against real receivers: order, retries, and channels that do not wait."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from core.logs import encode
from core.loops import close_pool, in_thread
from notifications.engine.signature import verify
from notifications.models import Channel, Notification
from notifications.services.dispatch import Dispatcher
from notifications.services.senders import webhook_config
from tests.notifications.conftest import alert_to, break_seal, raise_alert, route_all
from tests.notifications.queued import queue
from tests.notifications.receivers import Answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _pool():
    yield
    close_pool()


def dispatch() -> None:
    """Send all that is due and wait for the end."""

    async def run() -> None:
        dispatcher = Dispatcher()
        await dispatcher()
        await dispatcher.drain()
        await dispatcher.close()

    asyncio.run(run())


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what another thread does, ten seconds at most."""
    for _ in range(1000):
        if happened():
            return
        await asyncio.sleep(0.01)
    pytest.fail("It did not happen.")


def states() -> list[str]:
    return list(Notification.objects.order_by("id").values_list("state", flat=True))


def make_all_due() -> None:
    Notification.objects.filter(state="pending").update(next_at=timezone.now())


def test_webhook_gets_a_signed_versioned_body_under_a_key(make_webhook, receiver):
    channel = make_webhook(receiver.url)
    message = alert_to(channel, body="HTTP 500", links={"Incident": "https://ops.example.com/1"})

    dispatch()

    message.refresh_from_db()
    assert (message.state, message.attempts) == ("sent", 1)
    [request] = receiver.requests
    assert request.headers["Idempotency-Key"] == message.idempotency_key
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert verify(
        secrets=webhook_config(channel).secrets,
        timestamp=request.headers["X-OpsPlatform-Timestamp"],
        signature=request.headers["X-OpsPlatform-Signature"],
        body=request.body,
        now=time.time(),
    )


def test_news_of_an_alert_arrive_in_their_order(make_webhook, receiver):
    channel = make_webhook(receiver.url)
    for seq in range(1, 5):
        raise_alert(transition_seq=seq)
        route_all()

    dispatch()

    arrived = [json.loads(request.body)["event"] for request in receiver.requests]
    assert [event["sequence"] for event in arrived] == [1, 2, 3, 4]
    assert states() == ["sent"] * 4
    assert Channel.objects.get(pk=channel.pk).fails == 0


def test_failing_receiver_gets_the_same_message_again_under_the_same_key(make_webhook, receiver):
    message = alert_to(make_webhook(receiver.url))
    receiver.answers = [Answer(500, b"database down"), Answer(200)]

    dispatch()
    assert states() == ["pending"]
    make_all_due()
    dispatch()

    message.refresh_from_db()
    assert (message.state, message.attempts, message.uncertain) == ("sent", 2, False)
    first, second = receiver.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body
    history = message.history.values_list("number", "outcome", "status_code", "excerpt")
    assert list(history) == [(1, "retry", 500, "database down"), (2, "delivered", 200, "")]


def test_retry_after_is_heard(make_webhook, receiver):
    message = alert_to(make_webhook(receiver.url))
    receiver.answers = [Answer(429, headers={"Retry-After": "120"})]

    dispatch()

    message.refresh_from_db()
    assert message.state == "pending"
    assert (message.next_at - timezone.now()).total_seconds() == pytest.approx(120, abs=5)
    assert message.history.get().retry_after_seconds == 120


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusing_receiver_ends_the_message_at_once(make_webhook, receiver, status):
    channel = make_webhook(receiver.url)
    message = alert_to(channel)
    receiver.answers = [Answer(status)]

    dispatch()
    make_all_due()
    dispatch()

    message.refresh_from_db()
    channel.refresh_from_db()
    assert (message.state, len(receiver.requests)) == ("dead", 1)
    assert f"answered {status}" in message.last_error
    assert channel.enabled is (status != 410)


def test_redirect_is_not_followed(make_webhook, receiver, make_receiver):
    elsewhere = make_receiver()
    message = alert_to(make_webhook(receiver.url))
    receiver.answers = [Answer(307, headers={"Location": elsewhere.url})]

    dispatch()

    message.refresh_from_db()
    assert (message.state, elsewhere.requests) == ("dead", [])
    assert "redirects are not followed" in message.last_error


def test_refused_target_is_dead_at_once_and_names_the_variable(make_webhook, receiver, settings):
    channel = make_webhook(receiver.url)
    settings.OPS_OUTGOING_ALLOW = ()
    message = alert_to(channel)

    dispatch()

    message.refresh_from_db()
    channel.refresh_from_db()
    assert (message.state, receiver.requests) == ("dead", [])
    assert "OPS_OUTGOING_ALLOW" in message.last_error
    assert channel.fails == 0


def test_secrets_never_reach_the_history(make_webhook, receiver):
    channel = make_webhook(receiver.url)
    config = webhook_config(channel)
    message = alert_to(channel)
    told = f"bad signature for {config.url} with {config.secrets[0]} from ada@example.com"
    receiver.answers = [Answer(500, told.encode())]

    dispatch()

    message.refresh_from_db()
    attempt = message.history.get()
    assert attempt.excerpt == "bad signature for [masked] with [masked] from [masked]"


def test_hanging_channel_does_not_delay_the_others(make_webhook, receiver, make_receiver):
    release = threading.Event()
    hanging = make_receiver()
    hanging.answers = [Answer(wait_for=release) for _ in range(20)]
    slow = make_webhook(hanging.url, timeout_seconds=2, max_parallel=1)
    quick = make_webhook(receiver.url)
    for number in range(4):
        raise_alert(dedup_key=f"check:{number}")
    route_all()

    async def run() -> list[str]:
        dispatcher = Dispatcher()
        await dispatcher()
        await until(lambda: (len(receiver.requests), len(hanging.requests)) == (4, 1))
        arrived, waiting = len(receiver.requests), len(hanging.requests)
        await dispatcher()
        release.set()
        await dispatcher.drain()
        await dispatcher.close()
        return [str(arrived), str(waiting)]

    assert asyncio.run(run()) == ["4", "1"]
    assert Notification.objects.filter(channel=quick, state="sent").count() == 4
    assert Notification.objects.filter(channel=slow, state="sent").count() == 4


def test_receiver_that_does_not_answer_in_time_may_have_got_it(make_webhook, receiver):
    release = threading.Event()
    channel = make_webhook(receiver.url, timeout_seconds=1)
    message = alert_to(channel)
    receiver.answers = [Answer(wait_for=release)]

    dispatch()
    release.set()

    message.refresh_from_db()
    assert (message.state, message.uncertain) == ("pending", True)
    assert message.last_error == "The receiver did not answer in time."


def test_five_failures_stop_the_rest_of_the_batch(make_webhook, receiver):
    channel = make_webhook(receiver.url, max_parallel=1)
    for number in range(8):
        raise_alert(dedup_key=f"check:{number}")
    route_all()
    receiver.answers = [Answer(503) for _ in range(8)]

    dispatch()

    channel.refresh_from_db()
    assert channel.health == Channel.Health.PAUSED
    tried = sorted(Notification.objects.values_list("attempts", flat=True))
    assert sum(tried) == len(receiver.requests)
    assert 5 <= len(receiver.requests) < 8
    assert not Notification.objects.filter(lease_token__isnull=False).exists()


def test_receiver_that_speaks_no_http_is_tried_again(make_webhook, settings):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    host, port = listener.getsockname()
    settings.OPS_OUTGOING_ALLOW = (f"{host}:{port}",)

    def talk_nonsense() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"\xff\xfe\x00 t0p-s3cret?\r\n\r\n")

    thread = threading.Thread(target=talk_nonsense)
    thread.start()
    message = alert_to(make_webhook(f"http://{host}:{port}/t0p-s3cret"))

    dispatch()

    thread.join()
    listener.close()
    message.refresh_from_db()
    attempt = message.history.get()
    assert (message.state, attempt.error_class, message.uncertain) == ("pending", "protocol", True)
    assert "\x00" not in attempt.excerpt
    assert "t0p-s3cret" not in attempt.excerpt


def test_two_dispatchers_deliver_each_message_once(make_webhook, receiver):
    queue(make_webhook(receiver.url), 40)

    async def run() -> None:
        dispatchers = [Dispatcher(), Dispatcher()]
        await asyncio.gather(*(dispatcher() for dispatcher in dispatchers))
        await asyncio.gather(*(dispatcher.drain() for dispatcher in dispatchers))
        for dispatcher in dispatchers:
            await dispatcher.close()

    asyncio.run(run())

    keys = [request.headers["Idempotency-Key"] for request in receiver.requests]
    assert (len(keys), len(set(keys))) == (40, 40)
    assert set(states()) == {"sent"}
    assert set(Notification.objects.values_list("attempts", flat=True)) == {1}


def test_stopping_gives_back_what_has_not_left(make_webhook, receiver):
    release = threading.Event()
    make_webhook(receiver.url, max_parallel=1)
    for number in range(5):
        raise_alert(dedup_key=f"check:{number}")
    route_all()
    receiver.answers = [Answer(wait_for=release)]

    async def run() -> None:
        dispatcher = Dispatcher()
        await dispatcher()
        await until(lambda: bool(receiver.requests))
        closing = asyncio.create_task(dispatcher.close())
        await asyncio.sleep(0.1)
        release.set()
        await closing

    asyncio.run(run())

    assert sorted(states()) == ["pending"] * 4 + ["sent"]
    waiting = Notification.objects.filter(state="pending")
    assert set(waiting.values_list("attempts", "lease_token", "uncertain")) == {(0, None, False)}


def test_change_of_the_channel_is_seen_by_a_worker_that_is_at_work(
    make_webhook, receiver, make_receiver
):
    from core.actors import SYSTEM
    from notifications.services import channels

    moved = make_receiver()
    hold = threading.Event()
    channel = make_webhook(receiver.url)
    alert_to(channel, transition_seq=1)
    alert_to(channel, transition_seq=2)
    receiver.answers = [Answer(wait_for=hold)]

    async def run() -> None:
        dispatcher = Dispatcher()
        await dispatcher()
        await until(lambda: bool(receiver.requests))
        await in_thread(
            channels.update,
            actor=SYSTEM,
            channel_id=channel.pk,
            name=channel.name,
            enabled=True,
            timeout_seconds=10,
            max_parallel=10,
            config={"url": moved.url},
        )
        hold.set()
        await dispatcher.drain()
        await dispatcher.close()

    asyncio.run(run())

    assert (len(receiver.requests), len(moved.requests)) == (1, 1)


def test_messages_of_a_channel_that_the_keyring_cannot_open_wait_for_its_repair(make_webhook):
    channel = make_webhook()
    message = alert_to(channel)
    break_seal(channel)

    dispatch()

    message.refresh_from_db()
    channel.refresh_from_db(fields=["fails", "last_error"])
    assert (message.state, message.uncertain) == ("pending", False)
    assert "keyring" in message.last_error
    assert (channel.fails, channel.last_error) == (0, message.last_error)


def test_drill_copy_sends_nothing(make_webhook, receiver, settings):
    alert_to(make_webhook(receiver.url))
    settings.OPS_MODE = "drill"

    dispatch()

    assert (states(), receiver.requests) == (["pending"], [])


def test_dispatcher_ends_what_outlived_its_day(make_webhook, receiver):
    alert_to(make_webhook(receiver.url))
    Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    dispatch()

    assert (states(), receiver.requests) == (["dead"], [])


def test_fault_of_ours_is_logged_and_tried_again(make_webhook, receiver, monkeypatch, caplog):
    message = alert_to(make_webhook(receiver.url))

    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("notifications.engine.webhook.render", broken)

    dispatch()

    message.refresh_from_db()
    assert message.state == "pending"
    assert message.history.get().error_class == "unexpected"
    (told,) = [line for line in caplog.records if "failed unexpectedly" in line.getMessage()]
    assert json.loads(encode(told))["context"] == {"notification": message.pk}
