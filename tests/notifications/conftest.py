"""Real receivers on local ports, and short ways to raise and send alerts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from django.db import connection

from core import leases
from core.actors import SYSTEM
from notifications.models import Channel, Event, Notification
from notifications.services import channels
from notifications.services.emit import emit
from notifications.services.routing import route
from tests.notifications.providers import ProviderServer
from tests.notifications.receivers import Mailbox, MailServer, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Provider = TypeVar("Provider", bound=ProviderServer)


@pytest.fixture
def make_receiver(settings) -> Iterator[Callable[[], Receiver]]:
    """Return a function that starts a receiver which the outgoing policy lets us reach."""
    started: list[Receiver] = []

    def make() -> Receiver:
        receiver = Receiver()
        started.append(receiver)
        settings.OPS_OUTGOING_ALLOW = (*settings.OPS_OUTGOING_ALLOW, f"127.0.0.1:{receiver.port}")
        return receiver

    yield make
    for receiver in started:
        receiver.close()


@pytest.fixture
def receiver(make_receiver) -> Receiver:
    return make_receiver()


@pytest.fixture
def make_provider(settings) -> Iterator[Callable[[type[Provider]], Provider]]:
    """Return a function that starts a provider's server, which requests may reach."""
    started: list[ProviderServer] = []

    def make(kind: type[Provider]) -> Provider:
        server = kind()
        started.append(server)
        settings.OPS_OUTGOING_ALLOW = (*settings.OPS_OUTGOING_ALLOW, f"127.0.0.1:{server.port}")
        settings.SLACK_API = f"{server.base}/api"
        settings.TELEGRAM_API_URL = server.base
        settings.PAGERDUTY_API = {"us": server.base, "eu": server.base}
        return server

    yield make
    for server in started:
        server.close()


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    """Start a mail server and name it in the settings."""
    box = Mailbox()
    server = MailServer(box)
    server.start()
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = server.port
    settings.DEFAULT_FROM_EMAIL = "Ops <ops@example.com>"
    yield box
    server.stop()


_numbers = itertools.count(1)


@pytest.fixture
def make_webhook(db) -> Callable[..., Channel]:
    def make(url: str = "https://hooks.example.com/x", **settings: Any) -> Channel:
        settings.setdefault("name", f"webhook {next(_numbers)}")
        created = channels.create(actor=SYSTEM, kind="webhook", config={"url": url}, **settings)
        return created.channel

    return make


@pytest.fixture
def make_mail_channel(db) -> Callable[..., Channel]:
    def make(*recipients: str, **settings: Any) -> Channel:
        settings.setdefault("name", f"mail {next(_numbers)}")
        config = {"recipients": recipients or ("ada@example.com",)}
        return channels.create(actor=SYSTEM, kind="email", config=config, **settings).channel

    return make


def raise_alert(**changes: Any) -> Event:
    """Raise an alert as an app would."""
    alert: dict[str, Any] = {
        "actor": SYSTEM,
        "kind": "check.down",
        "severity": "critical",
        "status": "firing",
        "dedup_key": "check:1",
        "transition_seq": 1,
        "title": "shop is down",
        "service": "shop",
    }
    return emit(**alert | changes)


def route_all() -> int:
    """Route what waits, as the holder of the lease."""
    held = leases.acquire(name="notifications.route", seconds=60)
    assert held is not None
    try:
        return route(held)
    finally:
        leases.release(held)


def alert_to(channel: Channel, **changes: Any) -> Notification:
    """Raise and route an alert; return the message for the channel."""
    event = raise_alert(**changes)
    route_all()
    return Notification.objects.get(event=event, channel=channel)


def break_seal(channel: Channel) -> None:
    """Leave the channel's settings as they are after the keyring was lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE notifications_channel SET config = %s WHERE name = %s",
            ["v1.00000000.AAAA", channel.name],
        )
