"""Budgets and burn rates of any history are what a count of every moment says."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.engine import burn_rate
from reliability.engine.history import (
    Stood,
    Stretch,
    best_of,
    line,
    with_maintenance,
    without_beginning,
    worst_of,
)
from reliability.engine.slo import State, Timeline, Unknown, budget, state_of

LENGTH = 240
BAD, GOOD, UNKNOWN, OFF, ABSENT = "bad", "good", "unknown", "off", "absent"
COUNTED = {
    Stood.DOWN: BAD,
    Stood.DEGRADED: GOOD,
    Stood.UP: GOOD,
    Stood.UNKNOWN: UNKNOWN,
    Stood.MAINTENANCE: OFF,
    Stood.PAUSED: OFF,
    Stood.ABSENT: ABSENT,
}
STORED = [Stood.DOWN, Stood.DEGRADED, Stood.UNKNOWN, Stood.UP, Stood.PAUSED]


@st.composite
def checks(draw):
    """Give when a check was made, whether it ever answered, and its stretches, with holes."""
    cursor, stretches = draw(st.integers(-30, 60)), []
    since = cursor
    for stood, gap, length in draw(
        st.lists(
            st.tuples(st.sampled_from(STORED), st.integers(0, 9), st.integers(0, 60)), max_size=12
        )
    ):
        start = cursor + gap
        stretches.append(Stretch(stood, start, start + length))
        cursor = start + length
    answered = any(one.stood in {Stood.DOWN, Stood.DEGRADED, Stood.UP} for one in stretches)
    return since, answered or draw(st.booleans()), stretches


@st.composite
def works(draw):
    """Give maintenance: intervals in order that do not touch."""
    cursor, found = draw(st.integers(-20, 60)), []
    for gap, length in draw(
        st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), max_size=4)
    ):
        found.append((cursor + gap, cursor + gap + length))
        cursor += gap + length
    return found


def slow_check(check, work):
    """Return what a check counts as at each moment, by looking at everything each time."""
    since, answered, stretches = check
    found = []
    for at in range(LENGTH):
        stood = Stood.ABSENT if at < since else Stood.UNKNOWN
        for stretch in reversed(stretches):
            if at >= since and stretch.start <= at < stretch.end:
                stood = stretch.stood
        found.append(stood)
    has_begun = answered and found[0] is not Stood.ABSENT
    for at, stood in enumerate(found):
        has_begun = has_begun or stood not in {Stood.ABSENT, Stood.UNKNOWN}
        if not has_begun:
            found[at] = Stood.ABSENT
        elif found[at] is not Stood.ABSENT and any(begin <= at < end for begin, end in work):
            found[at] = Stood.MAINTENANCE
    return found


def slow_together(stoods, *, need_all):
    """Return what several checks say at one moment."""
    watched = [stood for stood in stoods if COUNTED[stood] in {GOOD, BAD, UNKNOWN}]
    if not watched:
        return min(stoods)
    if not need_all:
        return min(watched)
    for stood in (Stood.UP, Stood.DEGRADED, Stood.UNKNOWN):
        if stood in watched:
            return stood
    return Stood.DOWN


def fast(found, work, *, need_all):
    lines = [
        with_maintenance(
            without_beginning(
                line(stretches, since=since, start=0, end=LENGTH), was_known=answered
            ),
            work,
        )
        for since, answered, stretches in found
    ]
    return Timeline((best_of if need_all else worst_of)(lines))


@settings(max_examples=300, deadline=None)
@given(
    found=st.lists(checks(), min_size=1, max_size=4),
    work=works(),
    need_all=st.booleans(),
    unknown=st.sampled_from(list(Unknown)),
    objective=st.sampled_from([0.5, 0.9, 0.99, 0.995, 0.9999]),
    start=st.integers(0, LENGTH - 1),
    to_come=st.sampled_from([0, 0, 60]),
)
def test_a_budget_is_what_a_count_of_every_moment_says(
    found, work, need_all, unknown, objective, start, to_come
):
    """Availability, coverage, budget and what is left, over whole and part windows."""
    timeline = fast(found, work, need_all=need_all)
    each = [slow_check(check, work) for check in found]
    counted = [
        COUNTED[slow_together([one[at] for one in each], need_all=need_all)]
        for at in range(start, LENGTH)
    ]
    window = LENGTH - start + to_come

    got = budget(
        objective=objective,
        window=window,
        amounts=timeline.between(start, LENGTH),
        unknown=unknown,
    )

    good = counted.count(GOOD) + (counted.count(UNKNOWN) if unknown is Unknown.GOOD else 0)
    bad = counted.count(BAD) + (counted.count(UNKNOWN) if unknown is Unknown.BAD else 0)
    known = counted.count(GOOD) + counted.count(BAD)
    lasting = sum(
        1 for kind in counted if not (kind == OFF or (kind == UNKNOWN and unknown == "ignore"))
    )
    allowed = (1 - objective) * (lasting + to_come)
    watched = known + counted.count(UNKNOWN)
    assert (got.total, got.bad) == (good + bad, bad)
    assert got.sli == (pytest.approx(good / (good + bad)) if good + bad else None)
    assert got.coverage == (pytest.approx(known / watched) if watched else None)
    assert got.allowed == pytest.approx(allowed)
    if good + bad and allowed > 0:
        assert got.remaining_share == pytest.approx((allowed - bad) / allowed)
    else:
        assert got.remaining_share is None
    if not got.is_sufficient:
        assert state_of(got) is State.INSUFFICIENT
    if unknown is not Unknown.BAD and watched and known / watched < 0.899:
        assert not got.is_sufficient


@settings(max_examples=200, deadline=None)
@given(
    found=st.lists(checks(), min_size=1, max_size=3),
    work=works(),
    start=st.integers(-20, LENGTH + 20),
    length=st.integers(0, LENGTH + 40),
)
def test_amounts_between_any_two_moments_are_counted(found, work, start, length):
    """Burn rates read parts of the line; what lies outside of it is no history."""
    timeline = fast(found, work, need_all=False)
    each = [slow_check(check, work) for check in found]
    counted = [
        COUNTED[slow_together([one[at] for one in each], need_all=False)]
        if 0 <= at < LENGTH
        else ABSENT
        for at in range(start, start + length)
    ]

    got = timeline.between(start, start + length)

    assert (got.good, got.bad, got.unknown, got.off, got.absent) == tuple(
        counted.count(kind) for kind in (GOOD, BAD, UNKNOWN, OFF, ABSENT)
    )
    total = got.known
    expected = (got.bad / total) / (1 - 0.99) if total else None
    assert burn_rate.rate(got.good, got.bad, 0.99) == (
        pytest.approx(expected) if expected is not None else None
    )


@settings(max_examples=100, deadline=None)
@given(
    good=st.integers(0, 10_000),
    bad=st.integers(0, 1_000),
    known=st.integers(1, 1_000),
    absent=st.integers(0, 1_000),
)
def test_events_go_on_at_their_rate_so_far(good, bad, known, absent):
    """A tenth of the window with so many events allows ten times what they alone would."""
    timeline = Timeline(
        [Stretch(Stood.ABSENT, 0, absent), Stretch(Stood.UP, absent, absent + known)]
    )

    got = budget(
        objective=0.99,
        window=known + absent,
        amounts=timeline.between(0, known + absent),
        events=(good, bad),
    )

    assert got.allowed == pytest.approx(0.01 * (good + bad) * (known + absent) / known)


@pytest.mark.parametrize(
    ("pair", "threshold"), [("1h/5m", 14.4), ("6h/30m", 6), ("1d/2h", 3), ("3d/6h", 1)]
)
def test_the_limits_of_thirty_days_are_those_of_the_textbook(pair, threshold):
    (found,) = (one for one in burn_rate.PAIRS if one.name == pair)

    assert found.threshold(timedelta(days=30)) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("objective", "is_coarse"),
    [(0.99, False), (0.995, False), (0.999, True), (0.9995, True), (0.9999, True)],
)
def test_a_minute_is_too_coarse_for_three_nines(objective, is_coarse):
    found = burn_rate.is_too_coarse(
        objective=objective, window=timedelta(days=30), interval_seconds=60
    )

    assert found is is_coarse


@pytest.mark.parametrize(
    ("remaining", "before", "state"),
    [
        (0.51, None, State.OK),
        (0.5, None, State.WATCH),
        (0.21, None, State.WATCH),
        (0.2, None, State.AT_RISK),
        (0.0, None, State.EXHAUSTED),
        (-3.0, None, State.EXHAUSTED),
        (0.51, State.OK, State.OK),
        (0.51, State.WATCH, State.WATCH),
        (0.53, State.WATCH, State.OK),
        (0.21, State.AT_RISK, State.AT_RISK),
        (0.23, State.AT_RISK, State.WATCH),
        (0.01, State.EXHAUSTED, State.EXHAUSTED),
        (0.03, State.EXHAUSTED, State.AT_RISK),
        (0.9, State.INSUFFICIENT, State.OK),
    ],
)
def test_a_state_is_left_upwards_two_points_later(remaining, before, state):
    timeline = Timeline([Stretch(Stood.UP, 0, 10_000)])
    found = budget(objective=0.5, window=10_000, amounts=timeline.between(0, 10_000))
    bad = (1 - remaining) * found.allowed
    spent = type(found)(0.9, 1.0, found.allowed, bad, 10_000, remaining, is_sufficient=True)

    assert state_of(spent, before) is state
