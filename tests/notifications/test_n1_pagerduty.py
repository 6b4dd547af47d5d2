"""PagerDuty: one alert for each thread, opened, acknowledged and resolved under one key."""

import pytest

from notifications.engine.base import Verdict
from tests.notifications.providers import ROUTING_KEY, PagerDutyServer, Said
from tests.notifications.sending import LONG, made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def pagerduty(make_provider):
    return make_provider(PagerDutyServer)


@pytest.fixture
def channel(pagerduty):
    return made("pagerduty", {"routing_key": ROUTING_KEY})


def test_alert_lives_under_one_key(pagerduty, channel):
    told = []
    for changes in ({}, {"reason": "acknowledged"}, {"reason": "repeat"}, {"status": "resolved"}):
        assert send(channel, message(**changes)).verdict is Verdict.DELIVERED
        told.append((pagerduty.last.body["event_action"], dict(pagerduty.open)))

    assert told == [
        ("trigger", {"check:1": "trigger"}),
        ("acknowledge", {"check:1": "acknowledge"}),
        ("trigger", {"check:1": "trigger"}),
        ("resolve", {"check:1": "resolve"}),
    ]


def test_event_has_what_pagerduty_sorts_by(pagerduty, channel):
    outcome = send(channel)

    assert (outcome.status_code, outcome.provider_ref) == (202, "Event processed, check:1")
    body = pagerduty.last.body
    payload = body["payload"]
    assert (payload["summary"], payload["source"], payload["severity"]) == (
        "shop is down",
        "shop",
        "critical",
    )
    assert (payload["component"], payload["class"]) == ("shop", "reliability.check_down")
    assert payload["custom_details"]["labels"] == {"region": "eu"}
    assert body["links"] == [{"href": "https://ops.example.com/i/1?a=1&b=2", "text": "Incident"}]
    assert body["client_url"] == "https://ops.example.com/i/1?a=1&b=2"


def test_news_become_a_change_event_that_wakes_nobody(pagerduty, channel):
    outcome = send(channel, message(status="info", severity="info"))

    assert outcome.verdict is Verdict.DELIVERED
    assert pagerduty.last.path == "/v2/change/enqueue"
    assert pagerduty.open == {}


def test_test_opens_an_alert_so_that_one_can_see_it(pagerduty, channel):
    send(channel, message(status="info", severity="info", reason="test", dedup_key="test:1"))

    assert pagerduty.open == {"test:1": "trigger"}


def test_long_texts_are_cut(pagerduty, channel):
    outcome = send(channel, message(title="t" * 2_000, body=LONG * 20, service=""))

    assert outcome.verdict is Verdict.DELIVERED
    payload = pagerduty.last.body["payload"]
    assert (len(payload["summary"]), payload["source"]) == (1_024, "OpsPlatform")
    assert len(payload["custom_details"]["text"]) == 10_000


def test_wrong_key_is_refused_in_pagerdutys_words(pagerduty):
    outcome = send(made("pagerduty", {"routing_key": "0" * 32}))

    assert outcome.verdict is Verdict.REFUSED
    assert outcome.detail.startswith("PagerDuty answered 400: Event object is invalid; Length of")
    assert outcome.detail.endswith("Check the integration key.")
    assert "0" * 32 not in repr(outcome)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_of_pagerduty_is_tried_again(pagerduty, channel, status):
    pagerduty.prepared = [Said(status)]

    assert send(channel).verdict is Verdict.RETRY


def test_success_without_the_word_is_no_proof(pagerduty, channel):
    pagerduty.prepared = [Said(202, "queued")]

    assert send(channel).error_class == "no_proof"


def test_region_decides_the_address(pagerduty, settings):
    settings.PAGERDUTY_API = {"us": "http://127.0.0.1:1", "eu": pagerduty.base}

    outcome = send(made("pagerduty", {"routing_key": ROUTING_KEY, "region": "eu"}))

    assert outcome.verdict is Verdict.DELIVERED
