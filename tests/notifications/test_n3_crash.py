"""A dispatcher that is killed while it sends loses nothing, and says what it cannot know."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.conf import settings

from notifications.models import Notification
from tests.notifications.conftest import alert_to, raise_alert
from tests.notifications.lives import a_minute_later, environment
from tests.notifications.receivers import Answer, Receiver

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

MANAGE = Path(settings.BASE_DIR) / "manage.py"


def start_dispatcher(receiver: Receiver) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(MANAGE), "notifications_dispatch"]
    return subprocess.Popen(command, env=environment(receiver), stdout=subprocess.DEVNULL)


def wait_for(happened, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.05)


def test_killed_between_send_and_finish_sends_again_under_the_same_key(make_webhook, receiver):
    held = threading.Event()
    receiver.answers = [Answer(wait_for=held)]
    message = alert_to(make_webhook(receiver.url))
    first = start_dispatcher(receiver)
    try:
        wait_for(lambda: len(receiver.requests) == 1)
    finally:
        first.kill()
        first.wait()
    held.set()
    message.refresh_from_db()
    assert (message.state, message.attempts, message.uncertain) == ("pending", 1, False)

    a_minute_later()
    second = start_dispatcher(receiver)
    try:
        wait_for(lambda: Notification.objects.get().state == "sent")
    finally:
        second.terminate()
        assert second.wait(20) == 0

    message.refresh_from_db()
    assert (message.attempts, message.uncertain) == (2, True)
    keys = {request.headers["Idempotency-Key"] for request in receiver.requests}
    assert (len(receiver.requests), keys) == (2, {message.idempotency_key})
    lost, delivered = message.history.values_list("number", "outcome", "ended_at")
    assert lost == (1, "unknown", None)
    assert delivered[:2] == (2, "delivered")


def test_alert_that_committed_before_a_crash_is_routed_by_the_next_dispatcher(
    make_webhook, receiver
):
    make_webhook(receiver.url)
    raise_alert()

    process = start_dispatcher(receiver)
    try:
        wait_for(lambda: len(receiver.requests) == 1)
    finally:
        process.terminate()
        assert process.wait(20) == 0

    assert json.loads(receiver.requests[0].body)["event"]["title"] == "shop is down"
