import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone

from core import leases
from core.leases import LeaseLostError
from core.loops import in_thread, run_once
from notifications.models import Event
from reliability.engine.strikes import Standing, State
from reliability.loops import LOOPS
from reliability.models import Check, CheckState, Incident, Sample, StateSegment
from reliability.selectors import configuration
from reliability.services import catalogue, probes, results
from reliability.services.probes import LEASE, ProbeLoop
from tests.reliability.conftest import result_of
from tests.support.keyrings import spoil
from tests.support.servers import serving

pytestmark = pytest.mark.django_db(transaction=True)


class Site:
    """A server whose answer can be changed."""

    def __init__(self, status=200):
        self.status = status
        self.hits = 0
        self.asked_twice = asyncio.Event()

    async def __call__(self, _request):
        """Answer as told."""
        self.hits += 1
        if self.hits > 1:
            self.asked_twice.set()
        return web.Response(status=self.status)


def run(scenario, site=None):
    """Run the scenario with a server and a loop that ends in order."""

    async def main():
        async with serving(site or Site()) as base:
            loop = ProbeLoop()
            try:
                await scenario(loop, base)
            finally:
                await loop.close()

    asyncio.run(main())


@pytest.fixture
def check(make_check):
    return make_check("http://127.0.0.1:9/", retry_interval_seconds=1)


@pytest.fixture
def aim():
    """Return a function that points the check at a server, as an edit before the start."""

    def point(check, base):
        Check.objects.filter(pk=check.pk).update(url=base)

    return point


async def slices(loop, held, condition, seconds=10):
    """Run slices until the condition holds in the database."""
    end = time.monotonic() + seconds
    while not await in_thread(condition):
        assert time.monotonic() < end, "the condition never held"
        await loop(held)
        await asyncio.sleep(0.05)


async def a_result(loop):
    """Wait until the prober has found something that is not stored yet."""
    for _ in range(500):
        if loop._prober.pending:
            return
        await asyncio.sleep(0.01)
    pytest.fail("nothing was found")


def state_is(state):
    return lambda: CheckState.objects.get().state == state


def touch(check, seconds):
    """Change the check, so that it is probed at once instead of at its next moment."""
    catalogue.update_check(actor=results.PROBER, check_id=check.pk, timeout_seconds=seconds)


def test_a_service_that_dies_and_comes_back_is_told_twice(check, aim, held):
    site = Site()

    async def scenario(loop, base):
        await in_thread(aim, check, base)
        await slices(loop, held, state_is("up"))
        for status, state, seconds in [(500, "down", 5), (200, "up", 6)]:
            site.status = status
            await in_thread(touch, check, seconds)
            loop._refresh_at = 0.0  # the test does not wait five seconds
            await slices(loop, held, state_is(state))

    run(scenario, site)

    assert Incident.objects.get().state == "resolved"
    assert list(Event.objects.order_by("pk").values_list("status", flat=True)) == [
        "firing",
        "resolved",
    ]
    assert StateSegment.objects.filter(ended_at=None).count() == 1


def test_a_check_added_while_the_loop_runs_is_probed_at_once(make_check, held):
    async def scenario(loop, base):
        await loop(held)
        await in_thread(make_check, base)
        loop._refresh_at = 0.0  # the test does not wait five seconds
        await slices(loop, held, state_is("up"), seconds=3)

    run(scenario)


def test_a_check_switched_off_is_asked_no_more(check, aim, held, operator):
    site = Site()

    async def scenario(loop, base):
        await in_thread(aim, check, base)
        await slices(loop, held, state_is("up"))
        await in_thread(catalogue.update_check, actor=operator, check_id=check.pk, enabled=False)
        loop._refresh_at = 0.0  # the test does not wait five seconds
        await loop(held)
        assert not loop._prober.versions  # what the prober watches

    run(scenario, site)

    assert CheckState.objects.get().state == "unknown"


def test_what_was_found_while_the_database_was_away_is_stored_later(
    check, aim, held, monkeypatch, caplog
):
    site = Site(status=500)
    store, calls = results.store, []

    def away(**kwargs):
        calls.append(len(kwargs["batch"].flips))
        if len(calls) < 5:
            message = "the database is away"
            raise OperationalError(message)
        return store(**kwargs)

    monkeypatch.setattr(results, "store", away)

    async def scenario(loop, base):
        await in_thread(aim, check, base)
        await slices(loop, held, state_is("down"))

    run(scenario, site)

    assert len(calls) >= 5
    assert Incident.objects.get().state == "triggered"
    assert Sample.objects.count() >= 2
    told = [record.getMessage() for record in caplog.records if "database is" in record.msg]
    assert told == [
        "The database is away; results wait: the database is away",
        "The database is back; what waited was stored.",
    ]


def test_a_database_that_is_away_at_the_start_delays_the_start(check, aim, held, monkeypatch):
    versions, calls = probes.configuration.versions, []

    def away():
        calls.append(1)
        if len(calls) == 1:
            message = "the database is away"
            raise OperationalError(message)
        return versions()

    monkeypatch.setattr(probes.configuration, "versions", away)

    async def scenario(loop, base):
        await in_thread(aim, check, base)
        await slices(loop, held, state_is("up"))

    run(scenario)

    assert len(calls) >= 2


def test_one_check_that_cannot_be_stored_does_not_hold_up_the_others(
    make_check, held, monkeypatch, caplog
):
    bad, good = make_check("http://127.0.0.1:9/"), make_check("http://127.0.0.1:9/")
    store = results.store

    def picky(*, batch, **options):
        if bad.pk in batch.check_ids:
            message = "no such text"
            raise DatabaseError(message)
        return store(batch=batch, **options)

    monkeypatch.setattr(results, "store", picky)

    async def scenario(loop, base):
        await slices(loop, held, lambda: Sample.objects.filter(check_of=good).exists())

    run(scenario)

    assert not Sample.objects.filter(check_of=bad).exists()
    assert "cannot be stored" in caplog.text


def test_headers_that_do_not_unseal_hold_up_nobody_else_and_can_be_set_again(
    make_check, aim, held, operator, caplog
):
    broken = make_check("http://127.0.0.1:9/", headers={"X-Key": "1"}, name="broken")
    good = make_check("http://127.0.0.1:9/")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE reliability_check SET headers = 'v1.lost' WHERE name = 'broken'")

    async def scenario(loop, base):
        await in_thread(aim, good, base)
        await slices(loop, held, lambda: CheckState.objects.get(pk=good.pk).state == "up")
        assert loop._prober.versions == {good.pk: 1}
        for _ in range(2):
            loop._refresh_at = 0.0
            await loop(held)
        assert caplog.text.count("do not unseal") == 1
        await in_thread(
            catalogue.update_check, actor=operator, check_id=broken.pk, headers={"X-Key": "2"}
        )
        loop._refresh_at = 0.0
        await loop(held)
        assert loop._prober.versions == {good.pk: 1, broken.pk: 2}

    run(scenario)

    assert "do not unseal; restore the keyring or set them again" in caplog.text


def test_checks_are_taken_up_again_when_the_keyring_is_back(make_check, held, settings, tmp_path):
    check = make_check(headers={"X-Key": "1"})
    ring = settings.KEYRING
    spoil(settings, tmp_path / "ring", "missing")

    async def scenario(loop, base):
        await loop(held)
        settings.KEYRING = ring
        loop._refresh_at = 0.0
        await loop(held)
        assert loop._prober.versions == {}
        loop._refresh_at = loop._unreadable_until = 0.0
        await loop(held)
        assert loop._prober.versions == {check.pk: 1}

    run(scenario)


def test_a_prober_whose_lease_was_taken_stores_nothing(check, aim, held, caplog):
    async def scenario(loop, base):
        await in_thread(aim, check, base)
        await loop(held)
        await asyncio.sleep(0.3)
        await in_thread(leases.release, held)
        assert await in_thread(leases.acquire, name=LEASE, seconds=60)
        with pytest.raises(LeaseLostError):
            await loop(held)

    run(scenario)

    assert Sample.objects.count() == 0
    assert "Another prober took over; 1 last results are dropped." in caplog.messages


def test_killed_between_probe_and_flush_the_next_prober_finds_the_flip(check, aim, held):
    site = Site(status=500)

    async def killed(loop, base):
        await in_thread(aim, check, base)
        await loop(held)
        await site.asked_twice.wait()
        await loop._prober.close()
        loop._prober.take()  # what a kill loses

    async def successor(loop, base):
        await in_thread(aim, check, base)
        await slices(loop, held, state_is("down"))

    run(killed, site)
    assert CheckState.objects.get().state == "unknown"
    run(successor, site)

    assert Incident.objects.get().state == "triggered"


def test_what_was_found_last_is_stored_at_an_orderly_stop(check, aim, held):
    async def stopped(loop, base):
        await in_thread(aim, check, base)
        await loop(held)
        await a_result(loop)

    run(stopped, Site(status=500))

    assert Sample.objects.get().status_code == 500
    assert CheckState.objects.get().state == "suspect"


def test_what_cannot_be_stored_at_the_stop_waits_in_a_file(
    check, aim, held, monkeypatch, caplog, settings, tmp_path
):
    settings.OPS_DATA_DIR = tmp_path

    def away(**kwargs):
        message = "gone"
        raise OperationalError(message)

    async def stopped(loop, base):
        await in_thread(aim, check, base)
        await loop(held)
        await a_result(loop)
        monkeypatch.setattr(results, "store", away)

    run(stopped)

    assert "The database is away; 1 last results wait in a file: gone" in caplog.messages


def test_without_slices_nothing_new_is_started(check, aim, held, monkeypatch):
    monkeypatch.setattr(probes, "LEASE_SECONDS", 0.3)
    site = Site(status=500)

    async def scenario(loop, base):
        await in_thread(aim, check, base)
        await loop(held)
        await asyncio.sleep(2)

    run(scenario, site)

    assert site.hits == 1


def test_the_stand_in_probes_what_is_overdue_and_moves_the_strikes(make_check, aim):
    site = Site(status=500)
    due, early = make_check(), make_check()
    CheckState.objects.filter(pk=early.pk).update(last_at=timezone.now())

    async def scenario(_loop, base):
        await in_thread(aim, due, base)
        assert await run_once(LOOPS[0])
        await in_thread(
            CheckState.objects.filter(pk=due.pk).update,
            last_at=timezone.now() - timedelta(seconds=61),
        )
        assert await run_once(LOOPS[0])

    run(scenario, site)

    assert [state.state for state in CheckState.objects.order_by("pk")] == ["down", "unknown"]
    assert Incident.objects.get().check_of == due
    assert not leases.is_held(name=LEASE)


def test_the_stand_in_takes_a_result_of_the_future_for_overdue(check, aim):
    CheckState.objects.update(last_at=timezone.now() + timedelta(hours=1))

    async def scenario(_loop, base):
        await in_thread(aim, check, base)
        assert await run_once(LOOPS[0])

    run(scenario)

    assert CheckState.objects.get().state == "up"
    assert CheckState.objects.get().last_at < timezone.now()


def test_the_queue_of_the_stand_in_makes_no_gap(check):
    ((target, tracker),) = configuration.watches([check.pk])
    began = timezone.now()
    tracker = replace(
        tracker, state=State.UP, standing=Standing.UP, last_at=began - target.rules.validity
    )
    result = result_of(check, ok=True, at=began + timedelta(seconds=30))

    batch = probes._decided([(target, tracker)], [result], began=began)

    assert (batch.flips, list(batch.results)) == ([], [result])


def test_the_stand_in_leaves_the_work_to_whoever_holds_the_lease(check, held):
    assert asyncio.run(run_once(LOOPS[0])) is False
    assert Sample.objects.count() == 0


def test_the_number_of_probes_fits_the_open_files(monkeypatch):
    monkeypatch.setattr(probes.resource, "getrlimit", lambda _: (1024, 4096))
    assert probes.concurrency() == 614
    monkeypatch.setattr(probes.resource, "getrlimit", lambda _: (1_000_000, 1_000_000))
    assert probes.concurrency() == 4000
    monkeypatch.setattr(
        probes.resource, "getrlimit", lambda _: (probes.resource.RLIM_INFINITY, 4096)
    )
    assert probes.concurrency() == 4000
