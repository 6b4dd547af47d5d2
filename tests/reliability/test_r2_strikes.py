from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reliability.engine.strikes import Rules, Shift, Standing, State, Tracker, advance

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(interval_seconds=60, timeout_seconds=10)


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def play(results, rules=RULES, tracker=None):
    """Feed (second, ok) or (second, ok, latency) and return the tracker, states and shifts."""
    tracker = tracker or Tracker(since=T0)
    states, shifts = [], []
    for second, ok, *latency in results:
        tracker, more = advance(
            tracker, rules, ok=ok, at=at(second), latency_ms=latency[0] if latency else 5
        )
        states.append(tracker.state)
        shifts += more
    return tracker, states, shifts


def up(second=0):
    return Shift(at(second), Standing.UNKNOWN, Standing.UP)


def test_one_success_makes_an_unknown_target_up():
    tracker, states, shifts = play([(5, True)])

    assert states == [State.UP]
    assert shifts == [up(5)]
    assert (tracker.since, tracker.last_at) == (at(5), at(5))


def test_an_unknown_target_goes_down_at_its_strikes_counted_from_the_first():
    tracker, states, shifts = play([(5, False), (25, False)])

    assert states == [State.SUSPECT, State.DOWN]
    assert shifts == [Shift(at(5), Standing.UNKNOWN, Standing.DOWN)]
    assert tracker.since == at(5)


def test_down_is_dated_back_to_the_first_failed_probe():
    _, states, shifts = play([(0, True), (60, False), (80, False)])

    assert states == [State.UP, State.SUSPECT, State.DOWN]
    assert shifts == [up(), Shift(at(60), Standing.UP, Standing.DOWN)]


def test_a_blip_changes_no_standing():
    tracker, states, shifts = play([(0, True), (60, False), (80, True), (120, False), (140, True)])

    assert states == [State.UP, State.SUSPECT, State.UP, State.SUSPECT, State.UP]
    assert shifts == [up()]
    assert tracker.since == at(0)


def test_recovery_needs_its_strikes_and_counts_from_the_first_success():
    _, states, shifts = play([(0, True), (60, False), (80, False), (120, True), (140, True)])

    assert states[-2:] == [State.RECOVERING, State.UP]
    assert shifts[-1] == Shift(at(120), Standing.DOWN, Standing.UP)


def test_a_failure_while_recovering_begins_the_recovery_anew():
    _, states, shifts = play(
        [(0, False), (20, False), (60, True), (80, False), (120, True), (140, True)]
    )

    assert states[2:] == [State.RECOVERING, State.DOWN, State.RECOVERING, State.UP]
    assert shifts == [
        Shift(at(0), Standing.UNKNOWN, Standing.DOWN),
        Shift(at(120), Standing.DOWN, Standing.UP),
    ]


@pytest.mark.parametrize("strikes", [1, 3])
def test_the_number_of_strikes_is_the_rule(strikes):
    rules = replace(RULES, strikes_down=strikes)

    _, states, _ = play([(0, True), *((20 * n, False) for n in range(1, 4))], rules)

    assert states.index(State.DOWN) == strikes


def test_one_strike_up_needs_no_second_success():
    rules = replace(RULES, strikes_up=1)

    _, states, _ = play([(0, False), (20, False), (60, True)], rules)

    assert states == [State.SUSPECT, State.DOWN, State.UP]


def test_time_without_a_valid_result_is_unknown():
    _, states, shifts = play([(0, True), (1000, True)])

    assert states == [State.UP, State.UP]
    assert shifts == [
        up(),
        Shift(at(100), Standing.UP, Standing.UNKNOWN),
        Shift(at(1000), Standing.UNKNOWN, Standing.UP),
    ]


def test_a_result_is_valid_up_to_its_last_moment():
    _, _, shifts = play([(0, True), (100, True)])

    assert shifts == [up()]


def test_a_failure_after_a_gap_must_reach_its_strikes():
    _, states, shifts = play([(0, True), (1000, False), (1020, False)])

    assert states == [State.UP, State.SUSPECT, State.DOWN]
    assert shifts[1:] == [
        Shift(at(100), Standing.UP, Standing.UNKNOWN),
        Shift(at(1000), Standing.UNKNOWN, Standing.DOWN),
    ]


def test_a_target_that_was_down_is_still_down_after_a_gap():
    _, states, shifts = play([(0, False), (20, False), (1000, False)])

    assert states[-1] is State.DOWN
    assert shifts[1:] == [
        Shift(at(120), Standing.DOWN, Standing.UNKNOWN),
        Shift(at(1000), Standing.UNKNOWN, Standing.DOWN),
    ]


def test_successes_before_a_gap_do_not_count_towards_recovery():
    _, states, _ = play([(0, False), (20, False), (40, True), (1000, True)])

    assert states[-1] is State.RECOVERING


def test_a_clock_that_jumps_back_makes_no_negative_time():
    tracker, states, shifts = play([(100, True), (160, True), (120, False), (140, False)])

    assert states[-1] is State.DOWN
    assert shifts == [up(100), Shift(at(160), Standing.UP, Standing.DOWN)]
    assert tracker.last_at == at(160)


def test_three_slow_answers_of_five_degrade_the_target():
    rules = replace(RULES, degraded_ms=100)

    _, states, shifts = play(
        [(0, True, 50), (60, True, 101), (120, True, 50), (180, True, 101), (240, True, 101)],
        rules,
    )

    assert states == [State.UP] * 4 + [State.DEGRADED]
    assert shifts == [up(), Shift(at(240), Standing.UP, Standing.DEGRADED)]


def test_a_degraded_target_must_become_clearly_faster():
    rules = replace(RULES, degraded_ms=100)
    slow = [(60 * n, True, 150) for n in range(3)]

    _, hovering, _ = play(slow + [(60 * n, True, 90) for n in range(3, 9)], rules)
    _, faster, _ = play(slow + [(60 * n, True, 80) for n in range(3, 9)], rules)

    assert hovering[-1] is State.DEGRADED
    assert faster[2:6] == [State.DEGRADED, State.DEGRADED, State.DEGRADED, State.UP]


def test_a_degraded_target_goes_down_and_comes_back_degraded():
    rules = replace(RULES, degraded_ms=100)
    slow = [(60 * n, True, 150) for n in range(3)]

    _, _, shifts = play(
        [*slow, (180, False), (200, False), (240, True, 150), (260, True, 150)], rules
    )

    assert shifts[-2:] == [
        Shift(at(180), Standing.DEGRADED, Standing.DOWN),
        Shift(at(240), Standing.DOWN, Standing.DEGRADED),
    ]


@pytest.mark.parametrize(
    ("second", "late", "gap"),
    [(130, 30, False), (130, 29, True), (160, 99, False), (161, 99, True)],
)
def test_a_wait_for_a_place_makes_no_gap_up_to_one_interval(second, late, gap):
    tracker, _, _ = play([(0, True)])

    tracker, shifts = advance(tracker, RULES, ok=False, at=at(second), late_seconds=late)

    unknown = Shift(at(100), Standing.UP, Standing.UNKNOWN)
    assert shifts == ((unknown,) if gap else ())
    assert tracker.streak_fail == 1


def test_after_a_clock_step_back_an_outage_lasts_as_long_as_it_does():
    _, states, shifts = play([(0, True), (3600, True), (1800, False), (1820, False), (1860, True)])

    assert states == [State.UP, State.UP, State.SUSPECT, State.DOWN, State.RECOVERING]
    assert shifts[-2:] == [
        Shift(at(1800), Standing.UP, Standing.UNKNOWN, restart=True),
        Shift(at(1800), Standing.UNKNOWN, Standing.DOWN),
    ]


def test_a_target_that_is_down_when_the_clock_steps_back_stays_down():
    before, _, _ = play([(3600, False), (3660, False)])

    tracker, states, shifts = play([(1800, True), (1860, True)], tracker=before)

    assert states == [State.RECOVERING, State.UP]
    assert shifts == [
        Shift(at(1800), Standing.DOWN, Standing.UNKNOWN, restart=True),
        Shift(at(1800), Standing.UNKNOWN, Standing.DOWN),
        Shift(at(1800), Standing.DOWN, Standing.UP),
    ]
    assert (tracker.since, tracker.last_at) == (at(1800), at(1860))


def test_a_step_back_of_less_than_an_interval_begins_nothing_anew():
    _, states, shifts = play([(0, True), (60, True), (1, True)])

    assert (states, shifts) == ([State.UP] * 3, [up()])


def test_an_unknown_target_of_the_future_begins_at_the_new_time():
    tracker, _, shifts = play([(0, True)], tracker=Tracker(since=at(3600)))

    assert shifts == [
        Shift(at(0), Standing.UNKNOWN, Standing.UNKNOWN, restart=True),
        Shift(at(0), Standing.UNKNOWN, Standing.UP),
    ]
    assert tracker.since == at(0)
