"""A dispatcher that is killed while it sends loses nothing, and says what it cannot know."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.models import Lease
from notifications.models import DeliveryAttempt, Notification
from tests.notifications.conftest import alert_to, raise_alert, route_all
from tests.notifications.receivers import Answer, Receiver

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

MANAGE = Path(settings.BASE_DIR) / "manage.py"


def environment(receiver: Receiver) -> dict[str, str]:
    """Return what leads another process to the database and the keyring of this test."""
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}").geturl()
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "opsplatform.settings",
        "DATABASE_URL": url,
        "OPS_OUTGOING_ALLOW": f"127.0.0.1:{receiver.port}",
    }


def start_dispatcher(receiver: Receiver) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(MANAGE), "notifications_dispatch"]
    return subprocess.Popen(command, env=environment(receiver), stdout=subprocess.DEVNULL)


def wait_for(happened, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.05)


def a_minute_later() -> None:
    """Let the leases of a dead process run out."""
    past = timezone.now() - timedelta(seconds=1)
    Notification.objects.filter(lease_token__isnull=False).update(lease_until=past)
    Lease.objects.update(until=past)


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


def test_kills_lose_nothing_and_repeat_only_what_had_no_answer(make_webhook, receiver):
    make_webhook(receiver.url, max_parallel=4)
    for number in range(200):
        raise_alert(dedup_key=f"check:{number}")
    route_all()

    for kill in range(1, 4):
        process = start_dispatcher(receiver)
        try:
            wait_for(lambda least=kill * 40: len(receiver.requests) >= least)
        finally:
            process.kill()
            process.wait()
        a_minute_later()
    process = start_dispatcher(receiver)
    try:
        wait_for(lambda: Notification.objects.filter(state="sent").count() == 200)
    finally:
        process.terminate()
        assert process.wait(20) == 0

    received = Counter(request.headers["Idempotency-Key"] for request in receiver.requests)
    assert set(received) == set(Notification.objects.values_list("idempotency_key", flat=True))
    unanswered = DeliveryAttempt.objects.filter(outcome="unknown")
    known = set(unanswered.values_list("notification__idempotency_key", flat=True))
    assert {key for key, times in received.items() if times > 1} <= known
    assert (
        set(Notification.objects.filter(uncertain=True).values_list("idempotency_key", flat=True))
        == known
    )
