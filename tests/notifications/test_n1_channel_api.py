"""Channels of every kind by API, and mails that tell of many alerts."""

import json
from datetime import UTC, datetime

import pytest

from notifications.engine import email as engine
from notifications.engine.base import ACKNOWLEDGE
from notifications.engine.kinds import KINDS
from notifications.models import Channel
from tests.notifications.providers import ROUTING_KEY, TELEGRAM_TOKEN, TelegramServer
from tests.notifications.sending import made, message

pytestmark = pytest.mark.django_db

PATH = "/api/notifications/channels/"


@pytest.fixture
def as_role(api, make_user):
    def sign_in(role: str):
        api.force_authenticate(make_user(role=role))
        return api

    return sign_in


def test_kinds_tell_what_each_asks_for(as_role):
    told = as_role("auditor").get(f"{PATH}kinds/").json()

    assert [kind["name"] for kind in told] == list(KINDS)
    [pagerduty] = [kind for kind in told if kind["name"] == "pagerduty"]
    key, region = pagerduty["settings"]
    assert (key["name"], key["is_secret"], key["is_required"]) == ("routing_key", True, True)
    assert (region["choices"], region["usual"]) == (["us", "eu"], "us")


def test_channel_of_a_provider_is_added_changed_and_tested(as_role, make_provider):
    make_provider(TelegramServer)
    client = as_role("admin")
    given = {"kind": "telegram", "name": "Ops", "config": {"token": TELEGRAM_TOKEN, "chat_id": "1"}}

    created = client.post(PATH, given, format="json")
    assert created.status_code == 201, created.json()
    assert TELEGRAM_TOKEN not in json.dumps(created.json())
    url = f"{PATH}{created.json()['id']}/"

    changed = client.patch(
        url, {"config": {"chat_id": "42"}, "quiet_days": [6], "rate_per_minute": 5}, format="json"
    )
    assert changed.status_code == 200, changed.json()
    channel = Channel.objects.get()
    assert channel.config == {"token": TELEGRAM_TOKEN, "chat_id": "42"}
    assert (channel.quiet_days, channel.rate_per_minute) == ([6], 5)

    [answer] = client.post(f"{url}test/").json()
    assert (answer["delivered"], answer["provider_ref"]) == (True, "message 77")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"config": {"routing_key": "short"}}, "config"),
        ({"config": {"topic": "x"}}, "config"),
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"template": "$title"}, "template"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_unusable_change_is_refused_and_changes_nothing(as_role, given, field):
    channel = made("pagerduty", {"routing_key": ROUTING_KEY})
    before = Channel.objects.values().get()

    refused = as_role("admin").patch(f"{PATH}{channel.pk}/", given, format="json")

    assert refused.status_code == 400
    assert any(name.startswith(field) for name in refused.json()["errors"])
    assert Channel.objects.values().get() == before


def test_mail_lists_the_alerts_and_has_a_button_to_acknowledge():
    alerts = [
        {"title": f"check {number} <fails>", "severity": "warning", "status": "firing"}
        for number in range(50)
    ]
    told = message(
        alerts=alerts,
        firing=60,
        note="Still holds.",
        thread="abc",
        links={"Incident": "https://ops.example.com/i", ACKNOWLEDGE: "https://ops.example.com/a"},
    )
    envelope = engine.Envelope(
        sender="a@b.de", recipient="c@d.de", key="k", sent_at=datetime(2026, 11, 20, tzinfo=UTC)
    )

    plain, page = (part.get_content() for part in engine.render(told, envelope).iter_parts())

    assert plain.count("- WARNING: check") == 50
    assert page.count("&lt;fails&gt;") == 50
    assert "- and 10 more" in plain
    assert "and 10 more" in page
    assert page.index("Incident</a>") < page.index("Acknowledge</a>")
    assert "Acknowledge: https://ops.example.com/a" in plain


def test_mail_takes_the_channels_own_text():
    envelope = engine.Envelope(
        sender="a@b.de",
        recipient="c@d.de",
        key="k",
        sent_at=datetime(2026, 11, 20, tzinfo=UTC),
        template="Look at <$service>",
    )

    plain, page = (part.get_content() for part in engine.render(message(), envelope).iter_parts())

    assert "Look at <shop>" in plain
    assert "Look at &lt;shop&gt;" in page
    assert "HTTP 500 for 3 minutes" not in plain + page
