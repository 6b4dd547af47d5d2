"""Single results by API: pages and a file, over rows and chunks, for whoever may read them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from accounts.roles import ROLES
from audit.models import AuditRecord
from reliability.models import Sample, SampleChunk
from reliability.services import packing

START = datetime(2026, 6, 1, 8, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, 5, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def check(make_check):
    """Return a check with results in chunks and in rows, ten minutes apart."""
    check = make_check()
    Sample.objects.bulk_create(
        Sample(
            check_of=check,
            at=START + timedelta(minutes=10 * number),
            ok=number != 1,
            latency_ms=20.0,
            status_code=503 if number == 1 else 200,
            failure="status" if number == 1 else "",
            detail="=HTTP 503" if number == 1 else "",
        )
        for number in range(24)
    )
    packing.run(now=NOW)
    assert (SampleChunk.objects.count(), Sample.objects.count()) == (3, 6)
    return check


@pytest.fixture
def get(api, make_user):
    """Return a function that asks as a manager."""
    api.force_login(make_user(role="manager"))
    return lambda path: api.get(f"/api/{path}")


def window(check, **more):
    query = "&".join(f"{name}={value}" for name, value in more.items())
    return f"checks/{check.pk}/results?start=2026-06-01T08:00:00Z&end=2026-06-01T12:00:00Z&{query}"


def test_results_come_newest_first_with_all_that_was_found(get, check):
    body = get(window(check)).json()

    assert body["next"] is None
    assert len(body["results"]) == 24
    assert body["results"][0]["at"] == "2026-06-01T11:50:00Z"
    assert body["results"][-2] == {
        "at": "2026-06-01T08:10:00Z",
        "ok": False,
        "manual": False,
        "latency_ms": 20.0,
        "status_code": 503,
        "failure": "status",
        "detail": "=HTTP 503",
    }


def test_pages_lead_to_every_result_once(get, check):
    link, found = window(check, page_size=5), []
    while link:
        body = get(link.partition("/api/")[2] or link).json()
        found += [one["at"] for one in body["results"]]
        link = body["next"]

    assert len(found) == len(set(found)) == 24
    assert found == sorted(found, reverse=True)


def test_results_of_one_moment_are_on_one_page(get, make_check):
    check = make_check()
    for micros in (100, 200, 300, 400):
        at = START + timedelta(microseconds=micros)
        Sample.objects.create(check_of=check, at=at, ok=True, latency_ms=1.0, manual=True)
    packing.run(now=NOW)

    body = get(window(check, page_size=2)).json()

    assert len(body["results"]) == 4
    assert body["next"] is None


def test_without_a_window_the_last_day_is_told(get, make_check):
    check, now = make_check(), datetime.now(UTC)
    for hours in (1, 23, 25):
        at = now - timedelta(hours=hours)
        Sample.objects.create(check_of=check, at=at, ok=True, latency_ms=1.0)

    assert len(get(f"checks/{check.pk}/results").json()["results"]) == 2


WINDOWS = [
    ("start=yesterday", "start"),
    ("end=2026-13-01T00:00:00Z", "end"),
    ("end=9999-12-31T23:59:59Z", "end"),
    ("start=0001-01-01T00:00:00Z", "start"),
    ("start=2026-06-02T00:00:00Z&end=2026-06-01T00:00:00Z", "start"),
]


@pytest.mark.parametrize(
    ("form", "query", "name"),
    [
        *(("results", *window) for window in WINDOWS),
        *(("results.csv", *window) for window in WINDOWS),
        ("results", "page_size=0", "page_size"),
        ("results", "page_size=1001", "page_size"),
        ("results", "page_size=%C2%B2", "page_size"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(get, check, form, query, name):
    answer = get(f"checks/{check.pk}/{form}?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [name]


@pytest.mark.parametrize("form", ["results", "results.csv"])
def test_a_check_that_does_not_exist_is_not_found(get, form):
    assert get(f"checks/999999/{form}").status_code == 404


def test_the_file_holds_every_result_oldest_first(get, check):
    answer = get(window(check).replace("/results", "/results.csv"))
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert f"results-{check.pk}-2026-06-01-2026-06-01.csv" in answer["Content-Disposition"]
    assert len(rows) == 24
    assert rows[0]["at"] == "2026-06-01T08:00:00Z"
    assert rows[1] == {
        "at": "2026-06-01T08:10:00Z",
        "ok": "false",
        "manual": "false",
        "latency_ms": "20.0",
        "status_code": "503",
        "failure": "status",
        "detail": "'=HTTP 503",
    }


def test_taking_the_file_along_is_on_the_record(get, check):
    before = AuditRecord.objects.count()

    answer = get(window(check).replace("/results", "/results.csv"))
    list(answer.streaming_content)

    assert AuditRecord.objects.count() == before + 1


@pytest.mark.parametrize("form", ["results", "results.csv"])
@pytest.mark.parametrize("role", sorted(ROLES))
def test_results_are_for_who_may_read_them(api, make_user, check, form, role):
    api.force_login(make_user(role=role))

    answer = api.get(f"/api/checks/{check.pk}/{form}")
    if answer.streaming:
        list(answer.streaming_content)

    assert answer.status_code == (200 if "reliability.view_sample" in ROLES[role] else 403)


@pytest.mark.parametrize("form", ["results", "results.csv"])
def test_strangers_get_nothing(api, check, form):
    assert api.get(f"/api/checks/{check.pk}/{form}").status_code == 401
