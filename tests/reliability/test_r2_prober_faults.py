"""The prober is killed, or loses the database: no flip is lost, and none is told twice."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from django.db import OperationalError, connection

from core import leases
from core.certificates import Certificate
from core.http import Phases
from core.loops import in_thread
from notifications.models import Event
from reliability.engine.batch import Batch, Flip
from reliability.engine.probe import Failure, Result
from reliability.engine.spill import Spill
from reliability.engine.strikes import Shift, Standing, State, Tracker
from reliability.models import Alert, Check, CheckState, Sample, StateSegment
from reliability.services import flushing, probes, results
from reliability.services.probes import LEASE, ProbeLoop
from tests.support.followers import ROOT, environment
from tests.support.servers import serving

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    """Give each test a folder of its own: a file that waits would be read by the next one."""
    settings.OPS_DATA_DIR = tmp_path
    return tmp_path


# Killed


def test_killed_while_flipping_nothing_is_half_done_and_the_next_one_flips(
    make_check, observe, caplog
):
    check = make_check()
    dead = subprocess.run(
        [sys.executable, "-m", "tests.support.dying_prober", str(check.pk)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr

    # A killed connection is rolled back when the server notices, which takes a moment.
    assert (Sample.objects.count(), Alert.objects.count(), Event.objects.count()) == (0, 0, 0)
    assert StateSegment.objects.get(check_of=check).standing == "unknown"
    assert CheckState.objects.get().state == "unknown"

    leases.release_of_the_dead()
    held = leases.acquire(name=LEASE, seconds=60)
    results.store(batch=observe(check, False, False), held=held)

    assert [alert.state for alert in Alert.objects.all()] == ["firing"]
    assert Event.objects.count() == 1
    assert StateSegment.objects.filter(check_of=check, ended_at=None).get().standing == "down"


def test_two_probers_store_one_outage(make_check, observe, held):
    check = make_check()
    ours, theirs = observe(check, False, False), observe(check, False, False)
    results.store(batch=ours, held=held)
    leases.release(held)
    successor = leases.acquire(name=LEASE, seconds=60)

    with pytest.raises(leases.LeaseLostError):
        results.store(batch=theirs, held=held)
    assert results.store(batch=theirs, held=successor) == {check.pk}

    assert Alert.objects.get().count == 1
    assert StateSegment.objects.filter(check_of=check, standing="down").count() == 1


# Without the database


def site(statuses):
    """Answer with the statuses in turn, the last one for ever."""

    async def answer(_request):
        return web.Response(status=statuses.pop(0) if len(statuses) > 1 else statuses[0])

    return answer


async def until(loop, held, condition):
    end = time.monotonic() + 60
    while not await in_thread(condition):
        assert time.monotonic() < end, "the condition never held"
        await loop(held)
        await asyncio.sleep(0.05)


def run(scenario, statuses):
    async def main():
        async with serving(site(statuses)) as base:
            await scenario(base)

    asyncio.run(main())


async def aimed(check, base):
    await in_thread(Check.objects.filter(pk=check.pk).update, url=base)


def away(**_given):
    message = "the database is away"
    raise OperationalError(message)


def test_what_a_long_outage_of_the_database_leaves_in_a_file_is_stored_later(
    make_check, held, monkeypatch, data_folder, caplog
):
    check = make_check(retry_interval_seconds=1)
    store = results.store
    monkeypatch.setattr(probes, "BUFFER_SECONDS", 0)

    async def scenario(base):
        await aimed(check, base)
        loop = ProbeLoop()
        monkeypatch.setattr(results, "store", away)
        file = data_folder / probes.SPILL_FILE
        await until(loop, held, lambda: file.exists() and b'"down"' in file.read_bytes())
        monkeypatch.setattr(results, "store", store)
        await until(loop, held, Alert.objects.exists)
        await loop.close()

    run(scenario, [500])

    assert not (data_folder / probes.SPILL_FILE).exists()
    assert CheckState.objects.get().state == "down"
    assert Alert.objects.get().count == 1
    assert Sample.objects.filter(ok=False).count() >= 2
    assert "results that waited in a file were stored" in caplog.text


def test_what_a_prober_left_in_a_file_is_stored_by_the_next_one(make_check, held, monkeypatch):
    check = make_check(retry_interval_seconds=1)
    store = results.store
    monkeypatch.setattr(probes, "BUFFER_SECONDS", 0)

    async def scenario(base):
        await aimed(check, base)
        first = ProbeLoop()
        monkeypatch.setattr(results, "store", away)
        spilled = first._spill
        await until(first, held, lambda: bool(spilled) and any(b.flips for b in spilled.batches()))
        await first.close()
        monkeypatch.setattr(results, "store", store)
        second = ProbeLoop()
        await second(held)
        await second.close()

    run(scenario, [500])

    assert Alert.objects.count() == 1
    assert StateSegment.objects.filter(standing="down").count() == 1


def test_connections_that_break_lose_no_flip(make_check, held):
    check = make_check(retry_interval_seconds=1)
    own = backend()

    async def scenario(base):
        await aimed(check, base)
        loop = ProbeLoop()
        await until(loop, held, lambda: CheckState.objects.get().state == "up")
        broken = await in_thread(break_database, own)
        for _ in range(3):
            await loop(held)
            await asyncio.sleep(0.1)
        broken()
        loop._refresh_at = 0.0
        await until(loop, held, Alert.objects.exists)
        await loop.close()

    run(scenario, [200, 500])

    assert Alert.objects.get().state == "firing"
    assert StateSegment.objects.filter(ended_at=None).get().standing == "down"


def backend():
    """Return the number of this thread's connection at the server; 0 for a file."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def break_database(own):
    """Cut the connections of a server but our own, or lock a file; return what ends it."""
    Check.objects.update(config_version=2)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
                [own],
            )
        return lambda: None
    locking = sqlite3.connect(
        connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False
    )
    locking.execute("BEGIN IMMEDIATE")
    return locking.close


# The file


def result(key=1, **fields):
    return Result(key, AT, ok=False, latency_ms=1.5, phases=Phases(1, 2, 3, 4, 10), **fields)


def full_batch(key=1):
    one = result(
        key,
        status_code=500,
        failure=Failure.STATUS,
        detail="HTTP 500",
        excerpt="password=hunter22",
        certificate=Certificate(AT, AT + timedelta(days=9), "ab"),
    )
    batch = Batch(trackers={key: (3, Tracker(since=AT, state=State.DOWN, streak_at=AT))})
    batch.results.append(one)
    batch.flips.append(Flip(key, 3, Shift(AT, Standing.UP, Standing.DOWN), one))
    return batch


def test_what_is_written_is_read_back_as_it_was(tmp_path):
    spill = Spill(tmp_path / "deep" / "file")
    assert not spill
    spill.add(full_batch(1))
    spill.add(full_batch(2))

    assert list(spill.batches()) == [full_batch(1), full_batch(2)]
    assert (tmp_path / "deep" / "file").stat().st_mode & 0o777 == 0o600
    spill.remove()
    assert not spill


def test_secrets_are_hidden_before_they_reach_the_disk(tmp_path):
    spill = Spill(tmp_path / "file")
    spill.add(flushing.masked(full_batch()))

    assert b"hunter22" not in (tmp_path / "file").read_bytes()


def test_a_full_file_takes_flips_and_leaves_out_results(tmp_path):
    spill = Spill(tmp_path / "file", most_bytes=1)

    assert spill.add(full_batch()) == 1

    (kept,) = spill.batches()
    assert (list(kept.results), kept.flips) == ([], full_batch().flips)


def test_a_line_that_a_kill_tore_harms_no_other(tmp_path, caplog):
    path = tmp_path / "file"
    spill = Spill(path)
    spill.add(full_batch(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    spill.add(full_batch(2))

    assert list(spill.batches()) == [full_batch(1), full_batch(2)]
    assert "cannot be read and is left out" in caplog.text


def test_what_somebody_found_more_of_since_is_left_out(make_check, observe, held):
    check = make_check()
    old = observe(check, False, False, start=datetime.now(UTC) - timedelta(hours=1))
    results.store(batch=observe(check, True), held=held)

    assert results.store(batch=old, held=held, is_old=True) == {check.pk}

    assert CheckState.objects.get().state == "up"
    assert Alert.objects.count() == 0
    assert Sample.objects.count() == 3


def test_a_probe_that_could_not_be_made_makes_unknown_and_is_no_result(make_check, held, observe):
    from reliability.engine.prober import judged
    from reliability.selectors import configuration

    check = make_check()
    results.store(batch=observe(check, True), held=held)
    ((target, tracker),) = configuration.watches([check.pk])
    lost = replace(result(check.pk), at=datetime.now(UTC), failure=Failure.SETUP, detail="No.")
    batch = Batch()
    tracker, shifts = judged(target, tracker, lost)
    batch.note(target, tracker, shifts, lost)
    results.store(batch=batch, held=held)

    state = CheckState.objects.get()
    assert (state.state, state.last_detail) == ("unknown", "No.")
    assert Sample.objects.count() == 1
    assert Alert.objects.count() == 0
