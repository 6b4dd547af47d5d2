import asyncio
import threading

import pytest
from aiohttp import web

from audit.models import AuditRecord
from core.errors import InvalidInputError
from reliability.models import CheckState, Incident, Sample, UptimeTest
from reliability.services import catalogue, uptime_tests
from reliability.tasks import run_uptime_test
from tests.support.servers import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site():
    """Serve in a thread of its own; /bad answers 500 with a secret."""
    started, told = threading.Event(), []

    async def answer(request):
        if request.path == "/bad":
            return web.Response(status=500, text="token=abcdefgh12345")
        return web.Response()

    async def main():
        async with serving(answer) as base:
            ended = asyncio.Event()
            told.extend([base, asyncio.get_running_loop(), ended])
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    assert started.wait(10)
    base, loop, ended = told
    yield base
    loop.call_soon_threadsafe(ended.set)
    thread.join()


def test_a_test_is_queued_audited_and_rung_after_the_commit(make_check, operator, sent):
    on, off = make_check(), make_check(enabled=False)

    test = uptime_tests.request(actor=operator)

    assert (test.check_ids, test.state) == ([on.pk], "queued")
    assert sent == [("reliability.run_uptime_test", {"job_id": str(test.pk)})]
    assert AuditRecord.objects.filter(action="uptimetest.requested").count() == 1
    assert uptime_tests.request(actor=operator, check_ids=[off.pk]).check_ids == [off.pk]


def test_nothing_to_run_is_said(operator, sent):
    with pytest.raises(InvalidInputError, match="no check to run"):
        uptime_tests.request(actor=operator)

    assert (UptimeTest.objects.count(), sent) == (0, [])


def test_checks_that_do_not_exist_are_named(make_check, operator, sent):
    check = make_check()

    with pytest.raises(InvalidInputError) as caught:
        uptime_tests.request(actor=operator, check_ids=[check.pk, 999_999])

    assert caught.value.errors == {"checks": ["No check 999999."]}
    assert (UptimeTest.objects.count(), sent) == (0, [])


def test_results_are_kept_as_manual_and_move_no_strikes(make_check, operator, sent, site):
    good, bad = make_check(f"{site}/"), make_check(f"{site}/bad", strikes_down=1)
    test = uptime_tests.request(actor=operator)

    assert run_uptime_test(job_id=str(test.pk)) is True

    test.refresh_from_db()
    assert (test.state, test.progress) == ("done", 100)
    told = [(row["check"], row["ok"], row["status_code"]) for row in test.results]
    assert told == [(good.pk, True, 200), (bad.pk, False, 500)]
    assert test.results[1]["detail"] == "HTTP 500 Internal Server Error"
    assert (test.good, test.failed, test.first_failures) == (1, 1, test.results[1:])
    assert list(Sample.objects.order_by("check_of").values_list("manual", "ok")) == [
        (True, True),
        (True, False),
    ]
    assert Sample.objects.get(ok=False).excerpt == "token=[masked]"
    assert Incident.objects.count() == 0
    assert set(CheckState.objects.values_list("state", "last_at")) == {("unknown", None)}


def test_a_message_that_comes_twice_runs_the_test_once(make_check, operator, sent, site):
    make_check(site)
    test = uptime_tests.request(actor=operator)
    run_uptime_test(job_id=str(test.pk))

    assert run_uptime_test(job_id=str(test.pk)) is False
    assert Sample.objects.count() == 1


def test_a_defect_ends_the_test_as_failed(make_check, operator, sent, monkeypatch):
    make_check()
    test = uptime_tests.request(actor=operator)

    def broken(ids):
        raise RuntimeError

    monkeypatch.setattr(uptime_tests.configuration, "targets", broken)
    with pytest.raises(RuntimeError):
        uptime_tests.perform(job_id=str(test.pk))

    test.refresh_from_db()
    assert (test.state, test.error_code) == ("failed", "internal")


def test_a_test_that_was_taken_away_stops_and_stores_nothing(
    make_check, operator, sent, monkeypatch
):
    monkeypatch.setattr(uptime_tests, "_HEARTBEAT_SECONDS", 0.05)

    async def hang(*args, **kwargs):
        await asyncio.sleep(60)

    monkeypatch.setattr(uptime_tests, "probe_once", hang)
    monkeypatch.setattr(uptime_tests.jobs, "heartbeat", lambda *_, **__: False)
    make_check()
    test = uptime_tests.request(actor=operator)

    uptime_tests.perform(job_id=str(test.pk))

    test.refresh_from_db()
    assert (test.state, Sample.objects.count()) == ("cancelled", 0)


def test_a_check_deleted_while_it_runs_is_left_out(make_check, operator, sent, site, monkeypatch):
    gone, kept = make_check(f"{site}/bad"), make_check(site)
    test = uptime_tests.request(actor=operator)
    stored = uptime_tests._stored  # the moment between probe and storing

    def delete_first(found):
        catalogue.delete_check(actor=operator, check_id=gone.pk)
        return stored(found)

    monkeypatch.setattr(uptime_tests, "_stored", delete_first)
    uptime_tests.perform(job_id=str(test.pk))

    test.refresh_from_db()
    assert [row["check"] for row in test.results] == [kept.pk]
