"""A dispatcher that is killed while it sends loses nothing, and says what it cannot know."""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.models import Lease
from notifications.models import Notification
from tests.notifications.conftest import alert_to, raise_alert
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

    # A minute passes: the leases of the dead process run out.
    past = timezone.now() - timedelta(seconds=1)
    Notification.objects.update(lease_until=past)
    Lease.objects.update(until=past)
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
