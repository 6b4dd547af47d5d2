"""What holds for every order of results, pauses and clock jumps."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.engine.strikes import Rules, Standing, State, Tracker, advance

T0 = datetime(2026, 1, 1, tzinfo=UTC)

rules = st.builds(
    Rules,
    interval_seconds=st.just(60),
    timeout_seconds=st.integers(1, 60),
    strikes_down=st.integers(1, 4),
    strikes_up=st.integers(1, 4),
    degraded_ms=st.none() | st.just(100),
)
# Steps back are clock jumps, long ones are times without a prober.
results = st.lists(
    st.tuples(st.booleans(), st.integers(-50, 400), st.sampled_from([5.0, 90.0, 500.0])),
    max_size=40,
)


def play(rules, results):
    """Yield each result's number and outcome with the tracker and shifts after it."""
    tracker, at = Tracker(since=T0), T0
    for ok, seconds, latency in results:
        at += timedelta(seconds=seconds)
        before = tracker
        tracker, shifts = advance(tracker, rules, ok=ok, at=at, latency_ms=latency)
        yield ok, before, tracker, shifts


@given(rules, results)
@settings(deadline=None, max_examples=300)
def test_shifts_form_one_history_without_gap_or_negative_time(rules, results):
    shifts = [shift for *_, found in play(rules, results) for shift in found]

    for earlier, later in pairwise(shifts):
        assert earlier.after is later.before
        assert later.restart or earlier.at <= later.at
    for shift in shifts:
        assert shift.after is Standing.UNKNOWN if shift.restart else shift.before != shift.after


@given(rules, results)
@settings(deadline=None, max_examples=300)
def test_the_memory_is_never_more_than_an_interval_ahead_of_the_clock(rules, results):
    at = T0
    for (_, seconds, _), (*_, tracker, _) in zip(results, play(rules, results), strict=True):
        at += timedelta(seconds=seconds)
        assert at <= tracker.last_at <= at + timedelta(seconds=rules.interval_seconds)


@given(rules, results)
@settings(deadline=None, max_examples=300)
def test_the_memory_agrees_with_the_history(rules, results):
    standing, since = Standing.UNKNOWN, T0
    for _, _, tracker, shifts in play(rules, results):
        for shift in shifts:
            standing, since = shift.after, shift.at
        assert (tracker.standing, tracker.since) == (standing, since)


@given(rules, results)
@settings(deadline=None, max_examples=300)
def test_only_enough_failures_in_a_row_bring_a_target_down(rules, results):
    failures = 0
    for ok, before, tracker, _ in play(rules, results):
        failures = 0 if ok else failures + 1
        if tracker.standing is Standing.DOWN and before.standing is not Standing.DOWN:
            assert failures >= rules.strikes_down
        if tracker.state is State.SUSPECT:
            assert not ok
            assert tracker.streak_fail < rules.strikes_down
        if tracker.state in {State.UP, State.DEGRADED, State.RECOVERING}:
            assert ok
