"""Packed results: what comes out is what went in, as exact as the format says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.engine.packing import (
    DAY_SECONDS,
    FINENESS,
    HOUR_SECONDS,
    LEAST_MS,
    LONGEST_MS,
    QUANTUM_MS,
    TENTH,
    Found,
    UnreadableError,
    columns,
    pack,
    unpack,
)

START = datetime(2026, 3, 29, tzinfo=UTC)


@st.composite
def results(draw: st.DrawFn, seconds: int) -> list[Found]:
    moments = draw(st.lists(st.integers(0, seconds * 1_000_000 - 1), max_size=80))
    return [
        Found(
            START + timedelta(microseconds=moment),
            ok,
            draw(st.floats(0, 60_000)),
            draw(st.booleans()),
            draw(st.none() | st.integers(0, 999)),
            "" if ok else draw(st.sampled_from(["timeout", "dns", "status"])),
            "" if ok else draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=200)),
        )
        for moment in moments
        for ok in [draw(st.booleans())]
    ]


def assert_same(packed: list[Found], given: list[Found], late, largest_error) -> None:
    wanted = sorted(given, key=lambda found: found.at)
    assert len(packed) == len(wanted)
    for found, was in zip(packed, wanted, strict=True):
        assert timedelta() <= was.at - found.at < late
        assert abs(found.latency_ms - was.latency_ms) <= largest_error(was.latency_ms)
        assert (found.ok, found.manual) == (was.ok, was.manual)
        assert (found.status_code, found.failure, found.detail) == (
            was.status_code,
            was.failure,
            was.detail,
        )


@given(results(HOUR_SECONDS))
def test_an_hour_is_exact_to_a_tenth_or_a_small_part_of_the_median(given):
    packed = unpack(pack(given, start=START, seconds=HOUR_SECONDS), START)

    typical = median_low(found.latency_ms for found in given) if given else 0
    error = max(QUANTUM_MS, typical / FINENESS) / 2 + 1e-6
    assert_same(packed, given, TENTH, lambda _: error)


@given(results(DAY_SECONDS))
def test_a_day_is_exact_to_half_a_step(given):
    packed = unpack(pack(given, start=START, seconds=DAY_SECONDS), START)

    assert_same(packed, given, timedelta(seconds=1), lambda ms: max(LEAST_MS, ms * 0.0251) + 1e-3)


@given(results(HOUR_SECONDS))
def test_packing_again_changes_nothing(given):
    once = unpack(pack(given, start=START, seconds=HOUR_SECONDS), START)

    again = unpack(pack(once, start=START, seconds=HOUR_SECONDS), START)

    assert [(f.at, f.ok, f.detail) for f in again] == [(f.at, f.ok, f.detail) for f in once]


@given(results(DAY_SECONDS))
def test_packing_a_day_again_changes_nothing_at_all(given):
    once = unpack(pack(given, start=START, seconds=DAY_SECONDS), START)

    assert unpack(pack(once, start=START, seconds=DAY_SECONDS), START) == once


def test_phases_are_kept_as_means_of_their_hour():
    data = pack(
        [Found(START, True, 9.0)],
        start=START,
        seconds=DAY_SECONDS,
        phases={3: (1.5, 2.25, 100_000.0, 0.0), 4: (0.0, 0.0, 0.0, 0.0)},
    )

    assert columns(data).phases == {3: (1.5, 2.25, 65_504.0, 0.0)}


@pytest.mark.parametrize("at", [START - TENTH, START + timedelta(hours=1)])
def test_a_result_of_another_hour_is_refused(at):
    with pytest.raises(ValueError, match="outside of its chunk"):
        pack([Found(at, True, 1.0)], start=START, seconds=HOUR_SECONDS)


def test_a_result_can_be_in_the_last_moment():
    last = Found(START + timedelta(hours=1, microseconds=-1), True, 1.0)

    (found,) = unpack(pack([last], start=START, seconds=HOUR_SECONDS), START)

    assert found.at == START + timedelta(hours=1) - TENTH


HOUR = pack(
    [Found(START + timedelta(seconds=60 * n + 7), True, 80.0, status_code=200) for n in range(60)],
    start=START,
    seconds=HOUR_SECONDS,
)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x07abc", b"\x81not deflated", HOUR[:-3], b"\x01\x05", HOUR[:1]],
)
def test_damaged_bytes_are_told(data):
    with pytest.raises(UnreadableError, match=r"no packed results|are damaged"):
        columns(data)


def test_a_latency_without_end_is_cut():
    (found,) = unpack(pack([Found(START, True, 1e12)], start=START, seconds=HOUR_SECONDS), START)

    assert found.latency_ms == pytest.approx(LONGEST_MS, rel=0.01)


def test_a_regular_hour_takes_less_than_a_byte_a_result():
    assert len(HOUR) < 40


def test_what_was_written_once_stays_readable():
    common = (
        "040100003c0040004300440305c8010000000774696d656f7574154e6f20616e737765722077697468696e20"
        "3130207307cc0100000300020101020"
    )
    hour = bytes.fromhex(f"01{common}146d6040206c0fff00046f0007d02071c7ff818623640")
    day = bytes.fromhex(f"02{common}1073c030000715051d94f")
    kinds = [
        (7.0, True, False, 200, "", ""),
        (67.0, True, False, 200, "", ""),
        (127.0, False, False, None, "timeout", "No answer within 10 s"),
        (130.0, True, True, 204, "", ""),
    ]

    for data, latencies in (
        (hour, [12.5, 13.1, 10_000.0, 12.0]),
        (day, [12.39, 13.01, 9908.728, 11.8]),
    ):
        found = unpack(data, START)
        assert [f.latency_ms for f in found] == latencies
        assert columns(data).phases == {0: (1.0, 2.0, 3.5, 4.0)}
        assert [
            (
                (f.at - START).total_seconds() // 1,
                f.ok,
                f.manual,
                f.status_code,
                f.failure,
                f.detail,
            )
            for f in found
        ] == kinds
