"""Links: however many an alert has, no provider refuses the message for them."""

import pytest

from notifications.engine import wording
from notifications.engine.base import ACKNOWLEDGE, Verdict
from tests.notifications.providers import (
    TELEGRAM_TOKEN,
    DiscordServer,
    NtfyServer,
    SlackServer,
    TelegramServer,
)
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db

MINE = f"https://ops.example.com/ack/{'t' * 120}"
LONG_URLS = {f"Place {n}": f"https://h.example/{n}/{'x' * 1_880}" for n in range(4)}
LONG_NAMES = {f"{'n' * 190} {n}": f"https://h.example/{n}" for n in range(32)}
MIXED = {"Incident": "https://ops.example.com/i/1", **LONG_URLS, **LONG_NAMES}


def config_of(kind, server):
    return {
        "discord": lambda: {"url": server.base + server.path},
        "slack": lambda: {"url": f"{server.base}/services/T01/B02/c3Cr3T"},
        "telegram": lambda: {"token": TELEGRAM_TOKEN, "chat_id": "42"},
        "ntfy": lambda: {"server": server.base, "topic": "ops-alerts"},
    }[kind]()


@pytest.mark.parametrize("links", [LONG_URLS, LONG_NAMES, MIXED], ids=["urls", "names", "mixed"])
@pytest.mark.parametrize(
    ("kind", "server_class"),
    [
        ("discord", DiscordServer),
        ("slack", SlackServer),
        ("telegram", TelegramServer),
        ("ntfy", NtfyServer),
    ],
)
def test_many_links_lose_no_message(make_provider, kind, server_class, links):
    server = make_provider(server_class)
    channel = made(kind, config_of(kind, server))

    outcome = send(channel, message(links={**links, ACKNOWLEDGE: MINE}, body=LONG))

    assert outcome.verdict is Verdict.DELIVERED, outcome.detail
    sent = server.last.raw.decode()
    assert MINE in sent
    assert "quoted" in sent


def test_as_many_links_stay_as_fit_and_acknowledgement_always():
    told = message(links={"One": "https://a/1", "Two": "https://b/2", ACKNOWLEDGE: "https://c/3"})

    def kept(limit):
        found = wording.links_within(told, limit=limit, size=lambda name, _url: len(name))
        return [name for name, _ in found]

    names = ["One", "Two", ACKNOWLEDGE]
    assert kept(17) == names
    assert kept(16) == ["One", ACKNOWLEDGE]
    assert kept(0) == [ACKNOWLEDGE]
