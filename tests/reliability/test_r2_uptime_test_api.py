import uuid

import pytest

from core import jobs
from reliability.api import views
from reliability.models import UptimeTest
from reliability.tasks import run_uptime_test

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(api, make_user):
    api.force_authenticate(make_user("reliability.run_uptimetest", "reliability.view_uptimetest"))
    return api


def test_results_come_with_the_answer_when_the_worker_is_quick(admin, make_check, monkeypatch):
    monkeypatch.setattr(jobs, "send", lambda _name, kwargs: run_uptime_test(**kwargs))
    check = make_check()

    answer = admin.post("/api/ops/uptime/test", {"checks": [check.pk]}, format="json")

    assert (answer.status_code, answer.data["state"]) == (200, "done")
    (row,) = answer.data["results"]
    assert (row["check"], row["ok"], row["failure"]) == (check.pk, False, "connect")


def test_a_run_that_takes_longer_is_asked_for_later(admin, make_check, monkeypatch, sent):
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.2)
    make_check()

    answer = admin.post("/api/ops/uptime/test", {}, format="json")

    assert (answer.status_code, answer.data["state"]) == (202, "queued")
    run_uptime_test(**sent[0][1])
    later = admin.get(f"/api/ops/uptime/test/{answer.data['id']}")
    assert (later.status_code, later.data["state"], len(later.data["results"])) == (200, "done", 1)


def test_the_third_who_waits_is_answered_at_once(admin, make_check, monkeypatch):
    monkeypatch.setattr(jobs, "send", lambda _name, kwargs: run_uptime_test(**kwargs))
    make_check()
    for _ in range(views.MOST_WAITERS):
        assert views._waiters.acquire(blocking=False)

    try:
        answer = admin.post("/api/ops/uptime/test", {}, format="json")
    finally:
        for _ in range(views.MOST_WAITERS):
            views._waiters.release()

    # The run is over already, which only those who wait are told at once.
    assert (answer.status_code, answer.data["state"]) == (202, "queued")
    assert admin.get(f"/api/ops/uptime/test/{answer.data['id']}").data["state"] == "done"


def test_whoever_has_waited_leaves_the_place_to_others(admin, make_check, monkeypatch, sent):
    make_check()
    with monkeypatch.context() as patched:
        patched.setattr(views, "WAIT_SECONDS", 0)
        for _ in range(views.MOST_WAITERS + 1):
            assert admin.post("/api/ops/uptime/test", {}, format="json").status_code == 202
    monkeypatch.setattr(jobs, "send", lambda _name, kwargs: run_uptime_test(**kwargs))

    assert admin.post("/api/ops/uptime/test", {}, format="json").status_code == 200


@pytest.mark.parametrize("checks", ["all", [0], [-1], [2**63], ["x"], [], [999_999], [[1]]])
def test_a_choice_that_cannot_be_is_refused(admin, make_check, checks, sent):
    make_check()

    answer = admin.post("/api/ops/uptime/test", {"checks": checks}, format="json")

    assert answer.status_code == 400
    assert (UptimeTest.objects.count(), sent) == (0, [])


def test_a_run_that_nobody_asked_for_is_not_found(admin):
    assert admin.get(f"/api/ops/uptime/test/{uuid.uuid4()}").status_code == 404
