"""The table of the benchmarks says how many times better a figure is."""

from __future__ import annotations

import pytest

from benchmarks.table import Row, markdown


@pytest.mark.parametrize(
    ("ours", "its_value", "higher_is_better", "ratio"),
    [(5, 15, False, 3.0), (30, 15, False, 0.5), (30, 15, True, 2.0), (5, 20, True, 0.25)],
)
def test_a_ratio_above_one_is_better(ours, its_value, higher_is_better, ratio):
    row = Row("x", ours, "µs", "limit", its_value, higher_is_better=higher_is_better)

    assert row.ratio == ratio


def test_a_limit_of_nothing_is_never_missed():
    assert Row("lost", 0, "jobs", "limit", 0).ratio == float("inf")


def test_columns_are_aligned():
    rows = [
        Row("line", 7.251, "µs", "limit 15 µs", 15),
        Row("requests", 1860.4, "/s", "a peer", 279, higher_is_better=True),
    ]

    assert markdown(rows).splitlines() == [
        "| What     | Ours     | Against     | Its value | Ratio |",
        "| -------- | -------- | ----------- | --------- | ----- |",
        "| line     | 7.25 µs  | limit 15 µs | 15 µs     | 2.07  |",
        "| requests | 1,860 /s | a peer      | 279 /s    | 6.67  |",
    ]
