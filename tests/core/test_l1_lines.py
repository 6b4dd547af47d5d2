"""A record is one line of JSON, whatever it carries."""

from __future__ import annotations

import json
import logging

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import logs, tracing
from core.logs import ConsoleHandler, OnlyExceptions, encode

KEYS = [
    "ts",
    "level",
    "module",
    "message",
    "request_id",
    "trace_id",
    "user",
    "context",
    "exc",
]


def make(message="hello", *args, level=logging.INFO, created=None, exc_info=None, **extra):
    """Return a record as a logger makes it."""
    logger = logging.getLogger("app.part")
    record = logger.makeRecord("app.part", level, "", 0, message, args, exc_info, extra=extra)
    if created is not None:
        record.created = created
    return record


def parse(record):
    """Return the line of a record, after checking that it is one line."""
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= 32_768
    # Both parsers: one is strict about UTF-8, the other about nothing.
    assert json.loads(line) == orjson.loads(line)
    return orjson.loads(line)


def test_a_line_has_all_keys_in_their_order():
    with tracing.bind(request_id="request1", trace_id="a" * 32, user="ann"):
        line = parse(make("%s is %d", "shop", 5, created=1_790_000_000.0069, service="shop"))

    assert list(line) == KEYS
    assert line == {
        "ts": "2026-09-21T14:13:20.006Z",
        "level": "INFO",
        "module": "app.part",
        "message": "shop is 5",
        "request_id": "request1",
        "trace_id": "a" * 32,
        "user": "ann",
        "context": {"service": "shop"},
        "exc": None,
    }


def test_without_a_request_its_keys_are_null():
    line = parse(make())

    assert [line[key] for key in KEYS[4:]] == [None] * 5


@pytest.mark.parametrize(
    ("number", "name"),
    [(5, "DEBUG"), (10, "DEBUG"), (25, "INFO"), (30, "WARNING"), (45, "ERROR"), (99, "CRITICAL")],
)
def test_there_are_five_levels(number, name):
    assert parse(make(level=number))["level"] == name


def test_arguments_that_do_not_fit_are_told():
    assert parse(make("%d apples", "no"))["message"] == (
        "%d apples (arguments do not fit: TypeError)"
    )


def test_a_message_of_any_type_is_text():
    assert parse(make({"password": "x", "n": 1}))["message"] == "{'password': [masked], 'n': 1}"


def test_an_exception_brings_its_traceback():
    try:
        int("token=abc123")
    except ValueError as error:
        exc = parse(make(exc_info=(ValueError, error, error.__traceback__)))["exc"]

    assert exc.startswith("Traceback (most recent call last):\n")
    assert exc.endswith("invalid literal for int() with base 10: 'token=[masked]'")


def test_a_long_traceback_keeps_both_ends():
    error = ValueError("begin " + "x" * 100_000 + " end")

    exc = parse(make(exc_info=(ValueError, error, None)))["exc"]

    assert (len(exc), exc[:18], exc[-4:]) == (8_195, "ValueError: begin ", " end")


def test_secrets_are_hidden_in_message_and_context():
    line = parse(make("sent to %s", "ann@example.com", headers={"X-Dash-Key": "abc"}))

    assert line["message"] == "sent to [masked]"
    assert line["context"] == {"headers": {"X-Dash-Key": "[masked]"}}


def test_a_user_name_that_is_an_address_is_hidden():
    with tracing.bind(user="ann@example.com"):
        assert parse(make())["user"] == "[masked]"


def test_the_name_of_a_dashboard_key_is_shown():
    with tracing.bind(user="dash/1a2b3c4d"):
        assert parse(make())["user"] == "dash/1a2b3c4d"


def test_the_request_object_of_django_is_left_out():
    assert parse(make(request=object(), status_code=500))["context"] == {"status_code": 500}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\n", "two\nlines\r\n"),
        ("nul\0", "nul\0"),
        ("lone \udc80 surrogate", "lone \\udc80 surrogate"),
        ('quote " \\ back', 'quote " \\ back'),
        ("\u2028\x1b[31m", "\u2028\x1b[31m"),
    ],
)
def test_hostile_text_stays_in_its_line(text, shown):
    line = parse(make(text, detail=text, **{f"name {text}": 1}))

    assert line["message"] == line["context"]["detail"] == shown
    assert line["context"][f"name {shown}"] == 1


@pytest.mark.parametrize(
    "text", ["x" * 10_000_000, "\0" * 100_000, "🔥" * 100_000, "\udc80" * 50_000]
)
def test_a_huge_message_is_cut(text):
    line = parse(make(text))

    assert len(line["message"]) >= 1_000


def test_a_huge_context_keeps_its_small_values():
    line = parse(make("x" * 8_000, small="yes", number=5, large={"a": ["z" * 8_000] * 9}))

    assert line["context"] == {"small": "yes", "number": 5, "cut": True}
    assert line["message"] == "x" * 8_000


def test_a_context_of_many_small_values_gives_way():
    line = parse(make(**{f"name{number}" + "\0" * 100: "\0" * 200 for number in range(100)}))

    assert line["context"] == {"cut": True}


@settings(max_examples=300, deadline=None)
@given(
    message=st.text(alphabet=st.characters(exclude_categories=[]), max_size=60),
    extra=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(alphabet=st.characters(exclude_categories=[]), max_size=20)
        | st.binary(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
        ),
        max_leaves=12,
    ),
)
def test_every_record_is_a_valid_line(message, extra):
    record = make("%s", message, extra=extra)

    assert list(parse(record)) == KEYS


def test_text_for_people_keeps_strangers_on_one_line(capfd):
    record = make("from %s", "ann\nFAKE 2026 line\x1b[2J\u202e", size=5, level=logging.WARNING)
    record.created = 0.0
    with tracing.bind(request_id="request1"):
        ConsoleHandler("text").handle(record)

    assert capfd.readouterr().err == (
        "1970-01-01T00:00:00.000Z WARNING  app.part: "
        "from ann\\nFAKE 2026 line\\x1b[2J\\u202e size=5 request_id=request1\n"
    )


def test_text_for_people_shows_the_traceback(capfd):
    error = ValueError("no")

    ConsoleHandler("text").handle(make(exc_info=(ValueError, error, None)))

    assert capfd.readouterr().err.splitlines()[1:] == ["ValueError: no"]


def test_the_console_can_write_json(capfd):
    ConsoleHandler("json").handle(make("hello"))

    assert json.loads(capfd.readouterr().err)["message"] == "hello"


def test_a_console_that_is_gone_harms_nobody(monkeypatch):
    def refuse(descriptor, data):
        raise BrokenPipeError

    monkeypatch.setattr(logs.os, "write", refuse)

    ConsoleHandler("json").handle(make("hello"))


def test_only_exceptions_pass_their_filter():
    error = ValueError("no")

    passed = [OnlyExceptions().filter(make(exc_info=e)) for e in (None, (ValueError, error, None))]

    assert passed == [False, True]
