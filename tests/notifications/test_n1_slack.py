"""Slack: a webhook answers with a word, the interface with an object whose `ok` counts."""

import pytest

from notifications.engine.base import Verdict
from tests.notifications.providers import SLACK_TOKEN, Said, SlackServer
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def slack(make_provider):
    return make_provider(SlackServer)


@pytest.fixture
def hook(slack):
    return made("slack", {"url": f"{slack.base}/services/T01/B02/c3Cr3T"})


@pytest.fixture
def bot(slack):
    return made("slack", {"token": SLACK_TOKEN, "channel": "C0123456789"}, name="bot")


def texts(asked) -> list[str]:
    return [block["text"]["text"] for block in asked.body["attachments"][0]["blocks"]]


def test_webhook_gets_headline_text_and_links(slack, hook):
    outcome = send(hook)

    assert (outcome.verdict, outcome.provider_ref) == (Verdict.DELIVERED, "ok")
    assert slack.last.body["text"] == "[CRITICAL] shop is down"
    said, places = texts(slack.last)
    assert "HTTP 500 for 3 minutes" in said
    assert "Service: shop" in said
    assert places == "<https://ops.example.com/i/1?a=1&b=2|Incident>"
    assert slack.last.headers["Idempotency-Key"] == "key-1"


def test_bot_posts_to_its_channel_and_learns_the_message(slack, bot):
    outcome = send(bot)

    assert outcome.provider_ref == "message 1503435956.000247"
    assert slack.last.path == "/api/chat.postMessage"
    assert slack.last.body["channel"] == "C0123456789"


def test_persons_own_address_goes_before_the_channel(slack, bot):
    assert send(bot, recipient="U0123456789").verdict is Verdict.DELIVERED
    assert slack.last.body["channel"] == "U0123456789"


def test_alert_cannot_call_a_channel_or_make_a_link(slack, hook):
    send(hook, message(title="<!channel> & <https://evil.example|x>", body="<@U1>"))

    assert slack.last.body["text"] == (
        "[CRITICAL] &lt;!channel&gt; &amp; &lt;https://evil.example|x&gt;"
    )
    assert "&lt;@U1&gt;" in texts(slack.last)[0]


def test_long_text_is_cut_where_slack_would_refuse_it(slack, hook):
    assert send(hook, message(body=LONG)).verdict is Verdict.DELIVERED

    said = texts(slack.last)[0]
    assert 2_900 < len(said) <= 3_000
    assert said.endswith("… <https://ops.example.com/i/1?a=1&b=2|The rest>")


def test_no_with_status_200_is_a_no(bot, slack):
    slack.prepared = [Said(200, {"ok": False, "error": "not_in_channel"})]

    outcome = send(bot)

    assert outcome.verdict is Verdict.REFUSED
    assert outcome.detail == (
        "Slack answered 200: not_in_channel. Invite the bot to the Slack channel."
    )


@pytest.mark.parametrize("error", ["internal_error", "ratelimited", "service_unavailable"])
def test_trouble_of_slack_is_tried_again(bot, slack, error):
    slack.prepared = [Said(200, {"ok": False, "error": error})]

    assert send(bot).verdict is Verdict.RETRY


def test_limit_names_the_wait(hook, slack):
    slack.prepared = [Said(429, "rate_limited", {"Retry-After": "30"})]

    outcome = send(hook)

    assert (outcome.verdict, outcome.retry_after_seconds) == (Verdict.RETRY, 30.0)


def test_removed_webhook_is_refused_with_advice(slack):
    outcome = send(made("slack", {"url": f"{slack.base}/services/T01/B02/g0n377"}))

    assert (outcome.verdict, outcome.status_code) == (Verdict.REFUSED, 404)
    assert outcome.detail == (
        "Slack answered 404: no_service. "
        "The webhook was removed or switched off in Slack; make another one."
    )
    assert "g0n377" not in outcome.detail + outcome.excerpt


def test_archived_channel_switches_the_webhook_off(hook, slack):
    slack.prepared = [Said(410, "channel_is_archived")]

    assert send(hook).gone


def test_page_of_a_proxy_is_no_proof(hook, slack):
    slack.prepared = [Said(200, "<html>Please log in</html>")]

    outcome = send(hook)

    assert (outcome.verdict, outcome.error_class, outcome.uncertain) == (
        Verdict.RETRY,
        "no_proof",
        True,
    )


def test_token_shows_in_no_error(bot, slack):
    slack.prepared = [Said(403, f"who is {SLACK_TOKEN}?")]

    outcome = send(bot)

    assert SLACK_TOKEN not in repr(outcome)
