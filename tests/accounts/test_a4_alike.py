"""A stranger cannot tell by the work of the database whether a name exists."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditRecord
from notifications.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = "wrong but long enough"


def work(api, name):
    """Return the status of a wrong attempt, and the statements by which it was judged."""
    with CaptureQueriesContext(connection) as caught:
        answer = api.post("/api/auth/login", {"username": name, "password": WRONG}, format="json")
    return answer.status_code, [shape(it["sql"]) for it in caught.captured_queries]


def shape(statement):
    """Return what a statement does, and to which table; savepoints are named anew each time."""
    words = statement.split()
    return words[0] if "SAVEPOINT" in words[:2] else " ".join(words[:3])


def differences(api, known, unknown, times):
    found = {name: [work(api, name) for _ in range(times)] for name in (known, unknown)}
    pairs = zip(found[known], found[unknown], strict=True)
    return [number for number, (one, other) in enumerate(pairs, 1) if one != other], found


def test_each_failure_and_each_refusal_costs_the_same(api, make_user, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 100_000
    for name in ("known", "other"):
        make_user(username=name)
    # What a process does once is done, and the hour's alert of unknown names is spent.
    for _ in range(6):
        work(api, "first")
        work(api, "other")

    differ, found = differences(api, "known", "nobody", 8)

    assert differ == []
    assert [status for status, _ in found["known"]] == [401] * 5 + [429] * 3


def test_a_locked_address_costs_the_same(api, make_user):
    make_user(username="known")
    make_user(username="other")
    for _ in range(7):
        work(api, "stranger")
    work(api, "other")

    differ, found = differences(api, "known", "nobody", 3)

    assert differ == []
    assert {status for status, _ in found["known"]} == {429}


def test_the_record_tells_unknown_names_apart_and_names_none(api, make_user, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 100_000
    for name in ("my secret passphrase", "another one entirely"):
        work(api, name)

    rows = AuditRecord.objects.filter(action="session.refused")
    payloads = [row.payload for row in rows]
    assert len(payloads) == len(set(payloads)) == 2
    assert all('"username":"unknown"' in payload for payload in payloads)
    assert "secret" not in "".join(payloads)


def test_unknown_names_are_alerted_once_an_hour_and_known_ones_each(api, make_user, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 100_000
    for name in ("ann", "bob"):
        make_user(username=name)
    for name in ("ann", "bob", "nobody1", "nobody2", "nobody3"):
        for _ in range(5):
            work(api, name)

    events = Event.objects.filter(kind="access.account_locked")
    told = sorted(event.title for event in events if not event.suppressed_by)

    assert told == [
        "An unknown name is locked out for 15 minutes",
        "ann is locked out for 15 minutes",
        "bob is locked out for 15 minutes",
    ]
    assert events.exclude(suppressed_by="").count() == 2
