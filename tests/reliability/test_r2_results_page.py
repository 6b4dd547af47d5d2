"""The page of a check's results: any day, page after page, for whoever may read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.roles import ROLES
from reliability.admin.contexts import results as context
from reliability.models import Sample, SampleChunk
from reliability.services import packing

DAY = datetime(2026, 6, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def check(make_check):
    """Return a check with a packed day of ten results, two of them failed."""
    check = make_check()
    Sample.objects.bulk_create(
        Sample(
            check_of=check,
            at=DAY + timedelta(hours=2 * number),
            ok=number not in {3, 4},
            latency_ms=40.0,
            status_code=200,
            failure="timeout" if number in {3, 4} else "",
            detail="No <answer> in time" if number in {3, 4} else "",
        )
        for number in range(10)
    )
    packing.run(now=DAY + timedelta(days=4))
    assert SampleChunk.objects.get().seconds == 86_400
    return check


@pytest.fixture
def get(console, make_user):
    """Return a function that opens a page as an admin and returns its text."""
    client = console(make_user(role="admin"))
    return lambda path: client.get(path).content.decode()


def page(check, query=""):
    return f"/admin/reliability/sample/check/{check.pk}/{query}"


def moments(text):
    return re.findall(r">(\d\d:\d\d:\d\d)<", text)


def test_a_day_of_the_past_is_shown(get, check):
    text = get(page(check, "?day=2026-06-01"))

    assert "10 results of the schedule on 2026-06-01" in text
    assert "2 failed, 20.00 %" in text
    assert moments(text) == [f"{2 * number:02}:00:00" for number in range(9, -1, -1)]
    assert text.count("No &lt;answer&gt; in time") == 2
    assert "?day=2026-05-31" in text
    assert "?day=2026-06-02" in text
    start, end = "2026-06-01T00%3A00%3A00Z", "2026-06-02T00%3A00%3A00Z"
    assert f"/api/checks/{check.pk}/results.csv?start={start}&amp;end={end}" in text


def test_only_failed_ones_can_be_shown(get, check):
    text = get(page(check, "?day=2026-06-01&failed=1"))

    assert len(moments(text)) == 2
    assert "day=2026-05-31&amp;failed=1" in text


def test_a_long_day_has_pages(get, check, monkeypatch):
    monkeypatch.setattr(context, "_SHOWN", 4)

    first = get(page(check, "?day=2026-06-01"))
    second = get(page(check, "?day=2026-06-01&before=2026-06-01T12:00:00%2B00:00"))

    assert len(moments(first)) == len(moments(second)) == 4
    assert "before=2026-06-01T12%3A00%3A00%2B00%3A00" in first
    assert "18:00:00" in moments(first)
    assert "10:00:00" in moments(second)
    assert "Newest of this day" in second


@pytest.mark.parametrize("query", ["", "?day=tomorrow", "?day=9999-12-31", "?day=0001-01-01"])
def test_whatever_is_no_day_is_today(get, check, query):
    today = f"{datetime.now(UTC):%Y-%m-%d}"

    text = get(page(check, query))

    assert f"0 results of the schedule on {today}" in text
    assert "No result on this day." in text
    assert "The day after" not in text


@pytest.mark.parametrize("before", ["x", "2026-06-01T12:00:00", "2020-01-01T00:00:00%2B00:00"])
def test_a_place_that_is_none_is_the_begin(get, check, before):
    assert len(moments(get(page(check, f"?day=2026-06-01&before={before}")))) == 10


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"user"}))
def test_the_page_is_for_who_may_read_results(console, make_user, check, role):
    answer = console(make_user(role=role)).get(page(check))

    allowed = "reliability.view_sample" in ROLES[role]
    assert answer.status_code == (200 if allowed else 403)


def test_a_check_that_does_not_exist_has_no_page(console, make_user):
    client = console(make_user(role="admin"))

    assert client.get("/admin/reliability/sample/check/999999/").status_code == 404


def test_nothing_is_changed_here(console, make_user, check):
    assert console(make_user(role="admin")).post(page(check)).status_code == 405


def test_an_answer_without_a_status_is_as_expected(get, make_check):
    check = make_check()
    Sample.objects.create(check_of=check, at=timezone.now(), ok=True, latency_ms=4.0)

    for path in ("/admin/reliability/sample/", page(check)):
        text = get(path)
        assert "as expected" in text
        assert "None" not in text
