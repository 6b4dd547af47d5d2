"""ntfy: JSON at the root of the server, short enough to stay a message."""

import pytest

from notifications.engine.base import Verdict
from tests.notifications.providers import NtfyServer, Said
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def ntfy(make_provider):
    return make_provider(NtfyServer)


@pytest.fixture
def channel(ntfy):
    return made("ntfy", {"server": ntfy.base, "topic": "alerts-7f3a"})


def test_message_has_priority_tag_and_links(ntfy, channel):
    outcome = send(channel)

    assert (outcome.verdict, outcome.provider_ref) == (Verdict.DELIVERED, "message sPs71M8A2T")
    body = ntfy.last.body
    assert (body["topic"], body["title"]) == ("alerts-7f3a", "[CRITICAL] shop is down")
    assert (body["priority"], body["tags"]) == (5, ["rotating_light"])
    assert body["click"] == "https://ops.example.com/i/1?a=1&b=2"
    assert [action["label"] for action in body["actions"]] == ["Incident"]
    assert "Authorization" not in ntfy.last.headers


@pytest.mark.parametrize(
    ("changes", "priority"),
    [({"severity": "warning"}, 4), ({"status": "info"}, 3), ({"status": "resolved"}, 2)],
)
def test_priority_follows_how_things_stand(ntfy, channel, changes, priority):
    send(channel, message(**changes))

    assert ntfy.last.body["priority"] == priority


def test_protected_topic_needs_its_token(ntfy, channel):
    outcome = send(channel, recipient="secret-topic")
    assert outcome.verdict is Verdict.REFUSED
    assert outcome.detail == (
        "ntfy answered 403: forbidden. "
        "The topic is protected; enter a token that may publish to it."
    )

    told = {"server": ntfy.base, "topic": "secret-topic", "token": ntfy.token}
    assert send(made("ntfy", told, name="with token")).verdict is Verdict.DELIVERED


@pytest.mark.parametrize("body", [LONG, "\N{FIRE}" * 5_000, '"\\' * 5_000])
def test_long_text_stays_a_message(ntfy, channel, body):
    outcome = send(channel, message(title="ü" * 2_000, body=body))

    assert outcome.verdict is Verdict.DELIVERED
    assert ntfy.last.body["message"].endswith("…")


def test_of_many_links_acknowledgement_stays(ntfy, channel):
    links = {name: f"https://ops.example.com/{name}" for name in ("Acknowledge", "a", "b", "c")}

    send(channel, message(links=links))

    assert [action["label"] for action in ntfy.last.body["actions"]] == ["a", "b", "Acknowledge"]


def test_limit_is_tried_again(ntfy, channel):
    ntfy.prepared = [Said(429, {"code": 42901, "http": 429, "error": "limit reached: slow down"})]

    assert send(channel).verdict is Verdict.RETRY


def test_success_without_an_id_is_no_proof(ntfy, channel):
    ntfy.prepared = [Said(200, "<html>")]

    assert send(channel).error_class == "no_proof"
