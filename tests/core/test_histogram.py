"""Histograms: exact counts, close quantiles, merging, and few bytes."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.histogram import LONGEST_MS, Histogram, bucket_of, over_in, value_of

durations = st.floats(0, 1e8, allow_nan=False)
many = st.lists(durations, max_size=200)


@given(many, many)
def test_merging_gives_the_histogram_of_all(first, second):
    merged = Histogram(first)
    merged.merge(Histogram(second))

    assert merged == Histogram(first + second)
    assert merged.sum == pytest.approx(sum(first) + sum(second))


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_close_to_the_exact_one(values, q):
    exact = sorted(values)[max(ceil(q * len(values)), 1) - 1]

    found = Histogram(values).quantile(q)

    assert found == pytest.approx(exact, rel=0.0101, abs=0.0101)
    assert found <= max(values)


@given(many)
def test_bytes_hold_everything(values):
    made = Histogram(values)

    read = Histogram.from_bytes(made.to_bytes())

    assert (read, read.sum, read.count) == (made, made.sum, len(values))


def test_what_is_counted_many_times_is_counted_so_often():
    made = Histogram()
    made.add(20.0, 3)
    made.add(500.0)

    assert (made.count, made.sum, made.most) == (4, 560.0, 500.0)
    assert made.quantile(0.75) == pytest.approx(20.0, rel=0.01)
    assert made.quantile(1) == 500.0


def test_without_values_there_is_no_quantile():
    assert Histogram().quantile(0.5) is None
    assert Histogram.from_bytes(b"") == Histogram()


def test_what_is_over_a_threshold_is_counted():
    made = Histogram([10.0, 100.0, 101.0, 150.0, 3000.0])

    assert made.over(100.0) == 2
    assert made.over(5000.0) == 0


@given(many, st.integers(1, 300), durations)
def test_bytes_tell_what_is_over_a_threshold(values, times, threshold):
    made = Histogram()
    for value in values:
        made.add(value, times)

    assert over_in(made.to_bytes(), threshold) == made.over(threshold)
    assert over_in(b"", threshold) == 0


def test_the_longest_values_share_a_bucket():
    assert bucket_of(1e30) == bucket_of(LONGEST_MS * 2)
    assert value_of(0) == 0.0


@pytest.mark.parametrize("data", [b"x", b"\x02" + bytes(16), Histogram([1.0]).to_bytes()[:-1]])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"no histogram|too new|no whole histogram"):
        Histogram.from_bytes(data)


def test_a_thousand_values_need_few_bytes():
    made = Histogram(20 + number % 100 for number in range(1000))

    assert len(made.to_bytes()) <= 220
