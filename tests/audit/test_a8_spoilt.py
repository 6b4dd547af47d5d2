"""The log stays readable when somebody has spoilt rows in the database (A8)."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from audit.engine.payload import read
from audit.models import AuditRecord
from audit.services.acts import act
from audit.services.records import record
from core.actors import SYSTEM
from tests.audit import damage

pytestmark = pytest.mark.django_db

LIST = "/admin/audit/auditrecord/"
NUMBERS = "[" * 100_000


@pytest.fixture
def reader(api, make_user):
    api.force_authenticate(make_user("audit.view_auditrecord", "audit.export_auditrecord"))
    return api


def first():
    return AuditRecord.objects.filter(action="thing.done").only("pk").order_by("pk").first()


def spoil(column, value, *, sql="%s"):
    damage.fill(2)
    with damage.unguarded():
        damage.run(
            f"UPDATE audit_auditrecord SET {column} = {sql} WHERE id = %s",  # noqa: S608  # constants of the test
            value,
            first().pk,
        )


@pytest.mark.parametrize(
    "payload", ["[1", "[1]", "", "NaN", '{"a":NaN}', '{"a":"\\ud800"}', NUMBERS, "7" * 5_000]
)
def test_spoilt_details_are_shown_as_their_text(payload, reader, auditor):
    spoil("payload", payload)
    key = first().pk
    assert read(payload) == {"payload": payload}
    rows = reader.get("/api/audit/", {"action": "thing."}).json()["results"]
    assert [row["details"] for row in rows] == [{"number": 1}, {"payload": payload}]
    text = b"".join(reader.get("/api/audit/export/?action=thing.").streaming_content).decode()
    assert [json.loads(line)["details"] for line in text.splitlines()] == [
        {"payload": payload},
        {"number": 1},
    ]
    text = b"".join(reader.get("/api/audit/export/?form=csv&action=thing.").streaming_content)
    csv.field_size_limit(200_000)
    assert len([*csv.DictReader(io.StringIO(text.decode()))]) == 2
    assert auditor.get(f"{LIST}{key}/change/").status_code == 200


@pytest.fixture
def auditor(console, make_user):
    return console(make_user(role="auditor"))


def test_text_that_is_no_text_is_shown_with_a_mark(reader, auditor):
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL stores nothing but text.")
    spoil("reason", "ff41", sql="CAST(x'ff41' || substr(%s, 9) AS TEXT)")
    [row] = [
        row for row in reader.get("/api/audit/?action=thing.").json()["results"] if row["reason"]
    ]
    assert row["reason"] == "\N{REPLACEMENT CHARACTER}A"
    export = reader.get("/api/audit/export/?action=thing.")
    assert "\N{REPLACEMENT CHARACTER}A" in b"".join(export.streaming_content).decode()
    for path in ("", "timeline/", f"{row['id']}/change/"):
        assert auditor.get(f"{LIST}{path}").status_code == 200, path


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01", "x"]
)
@pytest.mark.parametrize("name", ["since", "until"])
def test_a_moment_beyond_the_calendar_is_refused(reader, name, moment):
    answer = reader.get("/api/audit/", {name: moment})
    assert answer.status_code == 400
    assert name in answer.json()["errors"]


def test_words_are_looked_for_in_the_last_month_unless_a_time_is_given(reader):
    now = datetime.now(UTC)
    with act():
        old = record(actor=SYSTEM, action="thing.old", reason="green tea")
        record(actor=SYSTEM, action="thing.new", reason="green tea")
    with damage.unguarded():
        AuditRecord.objects.filter(pk=old.pk).update(at=now - timedelta(days=40))

    def found(**query):
        rows = reader.get("/api/audit/", {"q": "tea green", **query}).json()["results"]
        return [row["action"] for row in rows]

    assert found() == ["thing.new"]
    assert found(since=(now - timedelta(days=50)).isoformat()) == ["thing.new", "thing.old"]
    assert found(until=(now - timedelta(days=30)).isoformat()) == ["thing.old"]
    assert found(until=(now - timedelta(days=100)).isoformat()) == []


@pytest.mark.parametrize("column", ["session", "request_id", "address", "category"])
def test_an_exact_filter_reads_an_index(column):
    sql, values = (
        AuditRecord.objects.filter(**{column: "x"}).order_by("-id")[:51].query.sql_with_params()
    )
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A table that is nearly empty is read as a whole, unless that is dear.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"{explain} {sql}", values)
        plan = str(cursor.fetchall())
    assert f"audit_by_{column.removesuffix('_id')}" in plan
    assert "TEMP B-TREE" not in plan
