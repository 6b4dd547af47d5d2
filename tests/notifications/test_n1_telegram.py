"""Telegram: the token is in the URL, the proof and the wait are in the body."""

import pytest

from notifications.engine.base import Verdict
from notifications.models import Channel
from notifications.services.environment import sync_environment_channels
from tests.notifications.providers import TELEGRAM_TOKEN, Said, TelegramServer
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db

CHAT = "-1001234567890"


@pytest.fixture
def telegram(make_provider):
    return make_provider(TelegramServer)


@pytest.fixture
def channel(telegram):
    return made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": CHAT})


def test_bot_writes_to_the_chat(telegram, channel):
    outcome = send(channel)

    assert (outcome.verdict, outcome.provider_ref) == (Verdict.DELIVERED, "message 77")
    body = telegram.last.body
    assert body["text"].startswith("<b>[CRITICAL] shop is down</b>\n\nHTTP 500 for 3 minutes\n\n")
    assert '<a href="https://ops.example.com/i/1?a=1&amp;b=2">Incident</a>' in body["text"]
    assert (body["chat_id"], body["disable_notification"]) == (CHAT, False)


def test_topic_of_a_group_is_kept(telegram):
    told = {"token": TELEGRAM_TOKEN, "chat_id": CHAT, "topic": "12"}

    send(made("telegram", told))

    assert telegram.last.body["message_thread_id"] == 12


def test_persons_own_chat_goes_before_the_channel(telegram, channel):
    assert send(channel, recipient="42").verdict is Verdict.DELIVERED
    assert telegram.last.body["chat_id"] == "42"


def test_what_is_over_makes_no_sound(telegram, channel):
    send(channel, message(status="resolved"))

    assert telegram.last.body["disable_notification"] is True
    assert telegram.last.body["text"].startswith("<b>[RESOLVED] shop is down</b>")


def test_markup_of_an_alert_stays_text(telegram, channel):
    outcome = send(channel, message(title='<b onclick="x">', body="</b><script>a & b"))

    assert outcome.verdict is Verdict.DELIVERED
    assert "&lt;/b&gt;&lt;script&gt;a &amp; b" in telegram.last.body["text"]


@pytest.mark.parametrize("body", [LONG, "\N{FIRE}" * 5_000, "&" * 5_000])
def test_long_text_is_cut_where_telegram_would_refuse_it(telegram, channel, body):
    assert send(channel, message(body=body)).verdict is Verdict.DELIVERED

    assert "…" in telegram.last.body["text"]


def test_wait_is_read_from_the_body(telegram, channel):
    told = {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 17",
        "parameters": {"retry_after": 17},
    }
    telegram.prepared = [Said(429, told)]

    outcome = send(channel)

    assert (outcome.verdict, outcome.retry_after_seconds) == (Verdict.RETRY, 17.0)


@pytest.mark.parametrize("wait", [-5, 0, True, "soon", None])
def test_wait_that_is_none_is_ignored(telegram, channel, wait):
    told = {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": wait}}
    telegram.prepared = [Said(429, told)]

    assert send(channel).retry_after_seconds is None


def test_wrong_token_is_refused_and_never_shown(telegram):
    wrong = "987654321:BBEhBOweik9ai2o01kf-ab12cd34ef56gh78"
    outcome = send(made("telegram", {"token": wrong, "chat_id": CHAT}))

    assert (outcome.verdict, outcome.detail) == (
        Verdict.REFUSED,
        "Telegram answered 401: Unauthorized. Check the bot token.",
    )
    assert wrong not in repr(outcome)


def test_answer_that_quotes_the_token_does_not_show_it(telegram, channel):
    telegram.prepared = [Said(502, f"<html>/bot{TELEGRAM_TOKEN}/sendMessage failed")]

    outcome = send(channel)

    assert outcome.verdict is Verdict.RETRY
    assert TELEGRAM_TOKEN not in repr(outcome)


def test_unreachable_server_tells_no_token(channel, settings):
    settings.TELEGRAM_API_URL = "http://127.0.0.1:1"
    settings.OPS_OUTGOING_ALLOW = ("127.0.0.1:1",)

    outcome = send(channel)

    assert (outcome.verdict, outcome.error_class) == (Verdict.RETRY, "connect")
    assert TELEGRAM_TOKEN not in repr(outcome)


def test_unknown_chat_is_refused_with_advice(telegram):
    outcome = send(made("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "7"}))

    assert outcome.detail == (
        "Telegram answered 400: Bad Request: chat not found. "
        "Check the chat ID; a person must have written to the bot first."
    )


def test_group_that_has_moved_names_its_new_number(telegram, channel):
    told = {
        "ok": False,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": -100987},
    }
    telegram.prepared = [Said(400, told)]

    assert "its chat ID is now -100987." in send(channel).detail


def test_success_without_ok_is_no_proof(telegram, channel):
    telegram.prepared = [Said(200, {"result": {}})]

    assert send(channel).error_class == "no_proof"


def test_variables_make_the_channel(telegram, settings):
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_CHAT_ID = TELEGRAM_TOKEN, CHAT
    settings.EMAIL_HOST = ""

    sync_environment_channels()

    channel = Channel.objects.get()
    assert (channel.name, channel.kind, channel.target) == (
        "TELEGRAM_BOT_TOKEN",
        "telegram",
        f"Telegram, chat {CHAT}",
    )
    assert send(channel).verdict is Verdict.DELIVERED


def test_token_without_a_chat_makes_no_channel(settings):
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_CHAT_ID = TELEGRAM_TOKEN, ""
    settings.EMAIL_HOST = ""

    sync_environment_channels()

    assert Channel.objects.count() == 0
