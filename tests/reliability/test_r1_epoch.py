"""Moments as whole microseconds from the database are as exact as they are stored."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from reliability.engine.history import micros
from reliability.models import Check, CheckState, StateSegment
from reliability.selectors import ranks
from reliability.selectors.epoch import Micros

MOMENTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 1, 12, tzinfo=UTC),
    datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 3, 1, 12, 0, 0, 123_400, tzinfo=UTC),
    datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


@pytest.mark.parametrize("at", MOMENTS)
def test_a_moment_keeps_each_microsecond(make_check, at):
    check = make_check()
    StateSegment.objects.filter(check_of=check).delete()
    StateSegment.objects.create(check_of=check, standing="up", started_at=at)

    rows = StateSegment.objects.values_list(Micros("started_at"), Micros(F("ended_at")))

    assert list(rows) == [(micros(at), None)]


def test_a_state_holds_to_the_microsecond_with_the_longest_interval(make_check, monkeypatch):
    last_at = datetime(2026, 3, 1, 12, 0, 0, 123_400, tzinfo=UTC)
    holds_until = last_at + timedelta(seconds=1.5 * 86_400 + 60)
    check = make_check(interval_seconds=86_400, timeout_seconds=60)
    CheckState.objects.filter(pk=check.pk).update(
        state="up", standing="up", since=last_at, last_at=last_at
    )
    found = []

    for now in (holds_until, holds_until + timedelta(microseconds=1)):
        monkeypatch.setattr(timezone, "now", lambda now=now: now)
        row = ranks.ranked(Check.objects.all()).get()
        found.append((ranks.WORST_FIRST[row.rank].value, row.began))

    assert found == [("up", micros(last_at)), ("unknown", micros(holds_until))]
