"""Discord: an embed by a webhook, whose own number is the proof."""

import pytest

from notifications.engine.base import Verdict
from tests.notifications.providers import DiscordServer, Said
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def discord(make_provider):
    return make_provider(DiscordServer)


@pytest.fixture
def channel(discord):
    return made("discord", {"url": discord.base + discord.path})


def embed(asked):
    return asked.body["embeds"][0]


def test_embed_says_what_happened(discord, channel):
    outcome = send(channel)

    assert (outcome.verdict, outcome.provider_ref) == (Verdict.DELIVERED, "message 998877")
    assert discord.last.path.endswith("?wait=true")
    assert embed(discord.last)["title"] == "\\[CRITICAL\\] shop is down"
    assert "HTTP 500 for 3 minutes" in embed(discord.last)["description"]
    assert embed(discord.last)["url"] == "https://ops.example.com/i/1?a=1&b=2"


def test_thread_of_the_url_is_kept(discord):
    url = f"{discord.base}{discord.path}?thread_id=123456789"

    send(made("discord", {"url": url}))

    assert discord.last.path == f"{discord.path}?thread_id=123456789&wait=true"


def test_alert_mentions_nobody_and_makes_no_markup(discord, channel):
    send(channel, message(body="@everyone <@1> **b** [x](https://evil.example)"))

    assert discord.last.body["allowed_mentions"] == {"parse": []}
    said = embed(discord.last)["description"]
    assert "\\@everyone \\<\\@1\\> \\*\\*b\\*\\* \\[x\\]\\(https\\://evil.example\\)" in said


@pytest.mark.parametrize("body", [LONG, "*" * 5_000, "\N{FIRE}" * 5_000])
def test_long_text_is_cut_where_discord_would_refuse_it(discord, channel, body):
    outcome = send(channel, message(title="_" * 300, body=body))

    assert outcome.verdict is Verdict.DELIVERED
    assert "The rest" in embed(discord.last)["description"]
    assert len(embed(discord.last)["title"]) <= 256


def test_wait_is_read_from_the_body_to_the_fraction(discord, channel):
    told = {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}
    discord.prepared = [Said(429, told, {"Retry-After": "65"})]

    outcome = send(channel)

    assert (outcome.verdict, outcome.retry_after_seconds) == (Verdict.RETRY, 64.57)


def test_webhook_that_is_gone_is_not_asked_again(discord):
    other = discord.path.replace("aBcDeFg", "zzzzzzz")

    outcome = send(made("discord", {"url": discord.base + other}))

    assert (outcome.verdict, outcome.gone) == (Verdict.REFUSED, True)
    assert outcome.detail == (
        "Discord answered 404: Unknown Webhook. Make another webhook in the channel's settings."
    )
    assert "zzzzzzz" not in repr(outcome)


def test_success_without_a_message_is_no_proof(discord, channel):
    discord.prepared = [Said(200, "welcome")]

    assert send(channel).error_class == "no_proof"
