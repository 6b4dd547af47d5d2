"""Cancelling an uptime test: queued, running, finished, by two at once, and by whom."""

import asyncio
import threading
import time

import pytest

from audit.models import AuditRecord
from core.errors import InvalidTransitionError, NotFoundError
from reliability.models import Sample, UptimeTest
from reliability.services import uptime_tests

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY = "00000000-0000-0000-0000-000000000000"


def cancellations():
    return AuditRecord.objects.filter(action="uptimetest.cancelled").count()


def test_a_run_that_waits_ends_at_once(make_check, operator, sent):
    make_check()
    test = uptime_tests.request(actor=operator)

    cancelled = uptime_tests.cancel(actor=operator, test_id=str(test.pk))

    assert (cancelled.state, cancelled.finished_at is not None) == ("cancelled", True)
    assert uptime_tests.perform(job_id=str(test.pk)) is False
    assert (Sample.objects.count(), cancellations()) == (0, 1)


def test_a_run_that_is_under_way_ends_soon_and_stores_nothing(
    make_check, operator, sent, monkeypatch
):
    monkeypatch.setattr(uptime_tests, "_HEARTBEAT_SECONDS", 0.05)
    begun = threading.Event()

    async def hang(*args, **kwargs):
        begun.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(uptime_tests, "probe_once", hang)
    make_check()
    test = uptime_tests.request(actor=operator)
    worker = threading.Thread(target=_perform, args=[test])
    worker.start()
    assert begun.wait(10)

    asked = uptime_tests.cancel(actor=operator, test_id=str(test.pk))
    worker.join(10)

    assert asked.state == "running"
    assert not worker.is_alive()
    test.refresh_from_db()
    assert (test.state, Sample.objects.count(), cancellations()) == ("cancelled", 0, 1)


def _perform(test):
    from django.db import connection

    try:
        uptime_tests.perform(job_id=str(test.pk))
    finally:
        connection.close()


def test_results_are_shown_while_they_come(make_check, operator, sent, monkeypatch):
    from tests.reliability.conftest import result_of

    monkeypatch.setattr(uptime_tests, "_HEARTBEAT_SECONDS", 0.05)
    shown = threading.Event()
    first, _ = make_check(), make_check()

    async def slowly(client, targets, *, limit, tell):
        from datetime import UTC, datetime

        found = [result_of(first, ok=True, at=datetime.now(UTC))]
        tell(found[0])
        while not shown.is_set():  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.01)
        return found

    monkeypatch.setattr(uptime_tests, "probe_once", slowly)
    test = uptime_tests.request(actor=operator)
    worker = threading.Thread(target=_perform, args=[test])
    worker.start()
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            test.refresh_from_db()
            if test.progress:
                break
            time.sleep(0.02)
    finally:
        shown.set()
        worker.join(10)

    assert (test.state, test.progress) == ("running", 50)
    assert [row["check"] for row in test.results] == [first.pk]
    assert (test.good, test.failed, test.check_count) == (1, 0, 2)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_a_finished_run_is_left_alone(make_check, operator, sent, state):
    make_check()
    test = uptime_tests.request(actor=operator)
    UptimeTest.objects.filter(pk=test.pk).update(state=state, finished_at=test.created_at)

    with pytest.raises(InvalidTransitionError, match=f"{state} already"):
        uptime_tests.cancel(actor=operator, test_id=str(test.pk))

    test.refresh_from_db()
    assert (test.state, test.cancel_requested_at, cancellations()) == (state, None, 0)


def test_of_two_who_cancel_one_does(make_check, operator, sent):
    make_check()
    test = uptime_tests.request(actor=operator)
    UptimeTest.objects.filter(pk=test.pk).update(state="running")
    uptime_tests.cancel(actor=operator, test_id=str(test.pk))

    with pytest.raises(InvalidTransitionError, match="being cancelled already"):
        uptime_tests.cancel(actor=operator, test_id=str(test.pk))

    assert cancellations() == 1


def test_two_at_once_leave_one_record(make_check, operator, sent):
    make_check()
    test = uptime_tests.request(actor=operator)
    outcomes, gate = [], threading.Barrier(2)

    def cancel():
        from django.db import connection

        gate.wait()
        try:
            uptime_tests.cancel(actor=operator, test_id=str(test.pk))
            outcomes.append("done")
        except InvalidTransitionError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=cancel) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert (sorted(outcomes), cancellations()) == (["done", "refused"], 1)


def test_a_run_that_does_not_exist_is_not_found(operator):
    with pytest.raises(NotFoundError):
        uptime_tests.cancel(actor=operator, test_id=NOBODY)


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("auditor", 403), ("engineer", 403)])
def test_by_api_only_those_cancel_who_may_run(
    api, make_user, make_check, operator, sent, role, status
):
    make_check()
    test = uptime_tests.request(actor=operator)
    api.force_login(make_user(role=role))

    answer = api.post(f"/api/ops/uptime/test/{test.pk}/cancel")

    assert answer.status_code == status
    test.refresh_from_db()
    assert test.state == ("cancelled" if status == 200 else "queued")
    assert api.get(f"/api/ops/uptime/test/{test.pk}/cancel").status_code in {403, 405}
