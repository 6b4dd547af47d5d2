"""The context of a request: bound, amended, carried to other processes, restored."""

from __future__ import annotations

import threading

import pytest

from core import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_outside_of_any_request_nothing_is_known():
    assert tracing.current() == tracing.Context("", "", "", "", "")


def test_bind_restores_the_context_that_was_there():
    with tracing.bind(request_id="outer-01", user="ann"):
        with tracing.bind(request_id="inner-01"):
            assert (tracing.current().request_id, tracing.current().user) == ("inner-01", "ann")
        assert tracing.current().request_id == "outer-01"

    assert tracing.current() == tracing.Context()


def test_bind_restores_after_an_exception():
    with pytest.raises(ZeroDivisionError), tracing.bind(request_id="failing1"):
        _ = 1 / 0

    assert tracing.current().request_id == ""


def test_bind_to_a_base_forgets_the_present_context():
    base = tracing.Context(request_id="carried1")

    with tracing.bind(user="ann"), tracing.bind(base, address="10.0.0.1"):
        assert tracing.current() == tracing.Context(request_id="carried1", address="10.0.0.1")


def test_amend_lasts_until_the_enclosing_bind_ends():
    with tracing.bind(request_id="request1"):
        tracing.amend(user="ann")
        assert tracing.current() == tracing.Context(request_id="request1", user="ann")

    assert tracing.current().user == ""


def test_threads_do_not_see_each_other():
    seen = []
    with tracing.bind(request_id="request1"):
        thread = threading.Thread(target=lambda: seen.append(tracing.current().request_id))
        thread.start()
        thread.join()

    assert seen == [""]


def test_a_valid_traceparent_gives_its_trace():
    assert tracing.parse_traceparent(VALID) == TRACE


def test_a_later_version_may_carry_more_parts():
    assert tracing.parse_traceparent(f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes") == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f" {VALID}",
        f"{VALID}\n",
        f"cc-{TRACE}-00f067aa0ba902b7-01-" + "x" * 1000,
    ],
)
def test_a_malformed_traceparent_gives_nothing(value):
    assert tracing.parse_traceparent(value) is None


def test_the_next_hop_keeps_the_trace_and_has_a_span_of_its_own():
    first, second = tracing.format_traceparent(TRACE), tracing.format_traceparent(TRACE)

    assert tracing.parse_traceparent(first) == tracing.parse_traceparent(second) == TRACE
    assert first != second


@pytest.mark.parametrize("value", ["12345678", "a" * 64, "0af7-65_1916.cd43"])
def test_well_formed_request_ids_are_taken_over(value):
    assert tracing.is_request_id(value)


@pytest.mark.parametrize(
    "value", ["", "1234567", "a" * 65, "with space", "line\nbreak", "ümlaut-x"]
)
def test_other_request_ids_are_not(value):
    assert not tracing.is_request_id(value)


def test_what_headers_carry_arrives():
    with tracing.bind(request_id="request1", trace_id=TRACE, user="ann", address="10.0.0.1"):
        carried = tracing.headers()

    assert sorted(carried) == ["traceparent", "x-request-id"]
    assert tracing.from_headers(carried) == tracing.Context(request_id="request1", trace_id=TRACE)


def test_without_a_context_nothing_is_carried():
    assert tracing.headers() == {}


@pytest.mark.parametrize(
    "carried",
    [{}, {"x-request-id": 5, "traceparent": None}, {"x-request-id": "<b>", "traceparent": "00-"}],
)
def test_what_is_missing_or_malformed_is_made_new(carried):
    made = tracing.from_headers(carried)

    assert tracing.is_request_id(made.request_id)
    assert tracing.parse_traceparent(tracing.format_traceparent(made.trace_id)) == made.trace_id
    assert made.request_id != tracing.from_headers(carried).request_id
