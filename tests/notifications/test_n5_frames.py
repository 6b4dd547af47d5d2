"""Frames of the live feed: what is sent, and what clients may say."""

import json

import pytest

from notifications.engine import frames
from notifications.engine.audiences import allowed_topics, audiences_of
from notifications.engine.frames import Asked, BadFrameError


@pytest.mark.parametrize("length", [0, 100, 125, 126, 65_535, 65_536, 70_000])
def test_a_frame_is_a_whole_message_of_any_length(length):
    frame = frames.encode("x", text="y" * length)

    assert frame[0] == 0x81
    assert json.loads(frames.text_of(frame)) == {"type": "x", "text": "y" * length}


def test_what_clients_say_is_read():
    said = {
        '{"type":"pong","t":1}': Asked("pong"),
        '{"type":"subscribe","topics":["alerts"],"cursors":{"topic:alerts":7}}': Asked(
            "subscribe", topics=("alerts",), cursors={"topic:alerts": 7}
        ),
        '{"type":"subscribe","topics":[]}': Asked("subscribe"),
        '{"type":"read","audience":"topic:alerts","seq":3}': Asked(
            "read", audience="topic:alerts", seq=3
        ),
        '{"type":"auth","token":"secret"}': Asked("auth", token="secret"),
    }
    assert {text: frames.read(text) for text in said} == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"pong"',
        "{}",
        '{"type":1}',
        '{"type":"hello"}',
        '{"type":["pong"]}',
        '{"type":"auth"}',
        '{"type":"auth","token":5}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","topics":"alerts"}',
        '{"type":"subscribe","topics":[1]}',
        '{"type":"subscribe","topics":[""]}',
        '{"type":"subscribe","topics":["' + "x" * 101 + '"]}',
        '{"type":"subscribe","topics":' + json.dumps(["x"] * 51) + "}",
        '{"type":"subscribe","topics":[],"cursors":[]}',
        '{"type":"subscribe","topics":[],"cursors":{"a":-1}}',
        '{"type":"subscribe","topics":[],"cursors":{"a":1.5}}',
        '{"type":"subscribe","topics":[],"cursors":{"a":true}}',
        '{"type":"subscribe","topics":[],"cursors":{"a":9223372036854775808}}',
        '{"type":"read","audience":"a"}',
        '{"type":"read","audience":null,"seq":1}',
        '{"type":"read","audience":"a","seq":"1"}',
        "[" * 5_000,
    ],
)
def test_what_no_client_says_is_a_bad_frame(text):
    with pytest.raises(BadFrameError):
        frames.read(text)


def test_topics_follow_from_permissions():
    assert allowed_topics({"reliability.view_service"}) == {"services"}
    shown = {"reliability.view_service", "reliability.view_incident", "reliability.view_sample"}
    assert allowed_topics(shown) == {"services", "incidents", "overview"}
    assert allowed_topics(()) == frozenset()


def test_a_persons_own_feed_is_always_among_the_audiences():
    assert audiences_of(["alerts", "overview"], "7") == {"topic:alerts", "user:7"}
    assert audiences_of(["alerts"], None) == {"topic:alerts"}
