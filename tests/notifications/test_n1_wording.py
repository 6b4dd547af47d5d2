"""What a message says: many alerts, templates, links, and where it is cut."""

from importlib import import_module

import pytest

from notifications.engine import wording
from notifications.engine.base import Message
from notifications.engine.errands import Errand, secrets_of_url
from tests.notifications.sending import message

ALERTS = [
    {
        "title": "shop is down",
        "severity": "critical",
        "status": "firing",
        "service": "shop",
        "since": "2026-11-20T11:59:00+00:00",
        "url": "https://ops.example.com/i/1",
    },
    {"title": "api is slow", "severity": "warning", "status": "resolved"},
]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "[CRITICAL] shop is down"),
        ({"severity": "warning"}, "[WARNING] shop is down"),
        ({"status": "resolved"}, "[RESOLVED] shop is down"),
        ({"status": "info"}, "[INFO] shop is down"),
        ({"reason": "acknowledged"}, "[ACKNOWLEDGED] shop is down"),
        ({"reason": "test", "status": "info"}, "[TEST] shop is down"),
        ({"title": "a\r\n b\u2028c"}, "[CRITICAL] a b c"),
    ],
)
def test_headline_begins_with_how_things_stand(changes, told):
    assert wording.headline(message(**changes), limit=200) == told


def test_text_has_note_body_alerts_and_facts_in_this_order():
    told = message(note="Still holds after 4 h.", alerts=ALERTS, firing=30, resolved=1)

    assert wording.text_of(told, uncertain=True).split("\n") == [
        "Still holds after 4 h.",
        "",
        "HTTP 500 for 3 minutes",
        "",
        "- CRITICAL: shop is down, since 2026-11-20 11:59:00 UTC",
        "- RESOLVED: api is slow",
        "- and 29 more",
        "",
        "Service: shop",
        "Alerts: 30 firing, 1 resolved",
        "Time: 2026-11-20 11:59:00 UTC",
        "region: eu",
        "",
        wording.REPEAT_NOTE,
    ]


def test_template_replaces_the_words():
    template = "$title in ${label.region}: $standing, $$5 ${label.nothing}($link)"

    told = wording.text_of(message(), template=template)

    assert told == "shop is down in eu: critical, $5 (https://ops.example.com/i/1?a=1&b=2)"


@pytest.mark.parametrize("template", ["$nothing", "5$", "${", "${label.nothing}", "  \n"])
def test_template_that_fails_or_says_nothing_loses_no_alert(template):
    assert "HTTP 500 for 3 minutes" in wording.text_of(message(), template=template)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("a\nb 5$", "Line 2 has a $ without a name; write $$ for a plain one."),
        ("$nothing", "There is no $nothing. There are $title, $body"),
        ("x" * 4_001, "at most 4,000 characters"),
    ],
)
def test_bad_template_says_what_is_wrong(template, told):
    with pytest.raises(wording.BadTemplateError) as refused:
        wording.check_template(template)

    assert told in str(refused.value)


def test_template_that_names_long_texts_often_is_bounded():
    told = wording.filled("$body" * 800, message(body="x" * 10_000))

    assert len(told) == 64_000


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://a b", 'https://a"b', "https://a>b", "https://a|b", "ftp://a"],
)
def test_only_addresses_of_the_web_become_links(url):
    assert wording.links(message(links={"x": url})) == []


def test_acknowledgement_stands_last_and_is_not_where_the_story_stands():
    told = message(links={"Acknowledge": "https://a/1", "Incident": "https://a/2"})

    assert wording.links(told) == [("Incident", "https://a/2"), ("Acknowledge", "https://a/1")]
    assert wording.main_link(told) == "https://a/2"


@pytest.mark.parametrize("limit", [1, 5, 10, 11, 50])
@pytest.mark.parametrize("measure", [len, wording.utf16, wording.utf8])
def test_cut_text_measures_no_more_than_it_may(limit, measure):
    told = wording.fit("ü<&\N{FIRE}" * 30, limit=max(limit, 3), measure=measure, tail=" more")

    assert measure(told) <= max(limit, 3)


def test_escape_is_never_torn_apart():
    told = wording.fit(
        "&" * 50, limit=23, escape=lambda text: text.replace("&", "&amp;"), tail=" T"
    )

    assert told == "&amp;" * 4 + "… T"


def test_short_text_stays_whole():
    assert wording.fit("abc", limit=3, tail=" more") == "abc"


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("2026-11-20T12:59:00+01:00", "2026-11-20 11:59:00 UTC"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_moment_is_told_in_utc(stored, told):
    assert wording.moment(stored) == told


def test_every_part_of_a_url_that_may_be_a_token_is_secret():
    found = set(secrets_of_url("https://h.example/services/T01/c3Cr3T?sig=abcdef&v=1"))

    assert {"T01", "c3Cr3T", "abcdef", "sig=abcdef&v=1", "/services/T01/c3Cr3T"} <= found
    assert "services" not in found


def test_user_and_password_of_a_url_are_secret_as_written_and_as_meant():
    found = set(secrets_of_url("https://ann:pass%21word@h.example/hook"))

    assert {"ann", "pass%21word", "pass!word"} <= found


def test_only_as_much_is_escaped_as_could_be_told():
    seen = []

    def escape(text):
        seen.append(len(text))
        return text.replace("*", "")

    assert wording.fit("*" * 64_000, limit=100, escape=escape) == "…"
    assert max(seen) <= 101


@pytest.mark.parametrize("kind", ["slack", "telegram", "discord", "teams", "ntfy", "pagerduty"])
def test_half_a_character_that_was_stored_fails_no_channel(kind):
    stored = {
        **message().to_payload(),
        "title": "shop \ud83d is down",
        "labels": {"a\udc00": "\ud83d"},
    }
    config = {"url": "https://h.example/x", "server": "https://h.example", "routing_key": "k"}
    told = Message.from_payload(stored)

    request = import_module(f"notifications.engine.{kind}").render(
        Errand(message=told, key="k", config=config)
    )

    assert told.title == "shop ? is down"
    assert b"shop ? is down" in (request.body or b"")
