"""When plans come again, by the clock of a wall (R5)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.engine.recurrence import MOST_TIMES, Plan, cron_after, merged

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(plan, after, before):
    return [f"{start:%m-%d %H:%M}" for start, _ in plan.times(after=at(after), before=at(before))]


def test_an_hour_that_the_clocks_leave_out_comes_an_hour_later():
    plan = Plan("daily", at("2026-03-27T01:30"), HOUR, "Europe/Berlin")

    assert starts(plan, "2026-03-27", "2026-04-01") == [
        "03-27 01:30",
        "03-28 01:30",
        "03-29 01:30",
        "03-30 00:30",
        "03-31 00:30",
    ]


def test_an_hour_that_comes_twice_is_meant_once():
    plan = Plan("daily", at("2026-10-24T00:30"), HOUR, "Europe/Berlin")

    assert starts(plan, "2026-10-24", "2026-10-27") == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_cron_fires_once_in_an_hour_that_comes_twice():
    found = cron_after("30 2 * * *", "Europe/Berlin", at("2026-10-24T12:00"))

    assert [f"{next(found):%m-%d %H:%M}" for _ in range(2)] == ["10-25 00:30", "10-26 01:30"]


def test_every_other_week_counts_from_the_first():
    plan = Plan("weekly", at("2026-01-07T10:00"), HOUR, every=2, weekdays=(0, 2))

    assert starts(plan, "2026-01-01", "2026-02-10") == [
        "01-07 10:00",
        "01-19 10:00",
        "01-21 10:00",
        "02-02 10:00",
        "02-04 10:00",
    ]


def test_a_month_without_the_day_is_left_out():
    plan = Plan("monthly", at("2026-01-31T10:00"), HOUR, month_days=(31,))

    assert starts(plan, "2026-01-01", "2026-07-01") == ["01-31 10:00", "03-31 10:00", "05-31 10:00"]


def test_the_last_day_is_that_of_each_month():
    plan = Plan("monthly", at("2028-01-31T10:00"), HOUR, month_days=(-1, 31))

    assert starts(plan, "2028-01-01", "2028-05-01") == [
        "01-31 10:00",
        "02-29 10:00",
        "03-31 10:00",
        "04-30 10:00",
    ]


@pytest.mark.parametrize("repeat", ["daily", "weekly", "monthly", "cron"])
def test_count_is_counted_from_the_first_time(repeat):
    cron = "0 10 * * *" if repeat == "cron" else ""
    plan = Plan(repeat, at("2026-01-05T10:00"), HOUR, count=3, cron=cron)

    whole = plan.times(after=at("2020-01-01"), before=at("2030-01-01"))

    assert len(whole) == 3
    assert plan.times(after=whole[1][0], before=at("2030-01-01")) == whole[2:]


def test_nothing_begins_after_until():
    plan = Plan("daily", at("2026-01-05T10:00"), HOUR, until=at("2026-01-07T10:00"))

    assert len(plan.times(after=at("2026-01-01"), before=at("2027-01-01"))) == 3


def test_what_never_comes_ends_all_the_same():
    plan = Plan("monthly", at("2026-02-01T10:00"), HOUR, every=12, month_days=(30,))

    assert plan.times(after=at("2026-01-01"), before=at("9000-01-01")) == []


def test_one_call_returns_a_bounded_number():
    plan = Plan("cron", at("2026-01-01"), timedelta(minutes=1), cron="* * * * *")

    assert len(plan.times(after=at("2026-01-01"), before=at("2027-01-01"))) == MOST_TIMES


@settings(max_examples=150, deadline=None)
@given(
    repeat=st.sampled_from(["daily", "weekly", "monthly"]),
    first=st.datetimes(datetime(2020, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001  # UTC below
    every=st.integers(1, 5),
    weekdays=st.sets(st.integers(0, 6), max_size=3),
    month_days=st.sets(st.sampled_from([-1, 1, 15, 28, 29, 30, 31]), max_size=3),
    later=st.integers(0, 900),
)
def test_times_equal_a_walk_over_every_single_day(
    repeat, first, every, weekdays, month_days, later
):
    first = first.replace(second=0, microsecond=0, tzinfo=UTC)
    wall = first.astimezone(BERLIN)
    after = first + timedelta(days=later)
    plan = Plan(
        repeat,
        first,
        HOUR,
        "Europe/Berlin",
        every=every,
        weekdays=tuple(weekdays),
        month_days=tuple(month_days),
    )

    def is_wanted(day):
        if repeat == "daily":
            return (day - wall.date()).days % every == 0
        if repeat == "weekly":
            weeks = (day - wall.date() + timedelta(days=wall.weekday())).days // 7
            return weeks % every == 0 and day.weekday() in (weekdays or {wall.weekday()})
        months = (day.year - wall.year) * 12 + day.month - wall.month
        is_last = (day + timedelta(days=1)).month != day.month
        days = month_days or {wall.day}
        return months % every == 0 and (day.day in days or (is_last and -1 in days))

    expected = []
    day = wall.date()
    while day < (after + timedelta(days=400)).date():
        start = datetime.combine(day, wall.time(), tzinfo=BERLIN).astimezone(UTC)
        if is_wanted(day) and start >= first and after < start < after + timedelta(days=120):
            expected.append((start, start + HOUR))
        day = date.fromordinal(day.toordinal() + 1)
    assert plan.times(after=after, before=after + timedelta(days=120)) == expected


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=8))
def test_merged_spans_cover_the_same_minutes_without_overlap(spans):
    zero = at("2026-01-01")
    given_spans = [
        (zero + timedelta(minutes=start), zero + timedelta(minutes=start + length))
        for start, length in spans
    ]

    whole = merged(given_spans)

    covered = {minute for start, length in spans for minute in range(start, start + length)}
    minutes = [
        (start - zero) // timedelta(minutes=1) + offset
        for start, end in whole
        for offset in range((end - start) // timedelta(minutes=1))
    ]
    assert sorted(covered) == minutes
