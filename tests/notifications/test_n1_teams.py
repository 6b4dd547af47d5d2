"""Microsoft Teams: an adaptive card for a workflow, which answers before it has posted."""

import json

import pytest

from notifications.engine.base import Verdict
from tests.notifications.providers import Said, TeamsServer
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def teams(make_provider):
    return make_provider(TeamsServer)


@pytest.fixture
def channel(teams):
    return made("teams", {"url": teams.base + teams.path})


def card(asked):
    return asked.body["attachments"][0]["content"]


def lines(asked) -> list[str]:
    return [part["inlines"][0]["text"] for part in card(asked)["body"][1:]]


def test_card_says_what_happened(teams, channel):
    outcome = send(channel)

    assert (outcome.verdict, outcome.status_code) == (Verdict.DELIVERED, 202)
    assert outcome.provider_ref == "run 0858-run"
    heading = card(teams.last)["body"][0]
    assert heading["style"] == "attention"
    assert heading["items"][0]["inlines"][0]["text"] == "[CRITICAL] shop is down"
    assert lines(teams.last)[:2] == ["HTTP 500 for 3 minutes", "Service: shop"]
    assert card(teams.last)["actions"] == [
        {
            "type": "Action.OpenUrl",
            "title": "Incident",
            "url": "https://ops.example.com/i/1?a=1&b=2",
        }
    ]


def test_texts_are_runs_that_read_no_markdown(teams, channel):
    send(channel, message(body="**b** [x](https://evil.example)"))

    assert "**b** [x](https://evil.example)" in lines(teams.last)
    assert '"TextBlock"' not in json.dumps(teams.last.body)


@pytest.mark.parametrize("body", [LONG, "ü" * 60_000, "\n".join(["x"] * 20_000)])
def test_long_text_is_cut_where_teams_would_refuse_it(teams, channel, body):
    assert send(channel, message(body=body)).verdict is Verdict.DELIVERED

    assert 15_000 < len(teams.last.raw) <= 25_000


def test_withdrawn_url_is_refused_with_advice_and_never_shown(teams):
    url = teams.base + teams.path.replace("k4m2p9q8r7", "x7y8z9w0v1")

    outcome = send(made("teams", {"url": url}))

    assert outcome.verdict is Verdict.REFUSED
    assert outcome.detail == (
        "Teams answered 401: DirectApiAuthorizationRequired: The request is not ok. "
        "Copy the workflow's URL again; anyone must be allowed to trigger it."
    )
    assert "x7y8z9w0v1" not in repr(outcome)


def test_workflow_that_is_off_is_refused_with_advice(teams, channel):
    told = {"error": {"code": "WorkflowTriggerIsNotEnabled", "message": "Disabled"}}
    teams.prepared = [Said(400, told)]

    outcome = send(channel)

    assert outcome.detail.endswith("Check that the workflow exists and is switched on.")


def test_limit_names_the_wait(teams, channel):
    teams.prepared = [Said(429, "", {"Retry-After": "9"})]

    assert send(channel).retry_after_seconds == 9.0
