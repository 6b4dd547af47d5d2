"""Moments as whole microseconds from the database are as exact as they are stored."""

from datetime import UTC, datetime

import pytest
from django.db.models import F

from reliability.engine.history import micros
from reliability.models import StateSegment
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
