"""Whatever waits, is stored twice or cannot be read: state and segments say the same."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from core.loops import run_once
from reliability.engine.connectivity import Connectivity
from reliability.engine.rules import PROBER_OFFLINE
from reliability.engine.spill import Spill
from reliability.loops import LOOPS
from reliability.models import Alert, Blackout, CheckState, Sample, StateSegment
from reliability.selectors import configuration
from reliability.services import flushing, prober_alerts, probes, results
from reliability.services.probes import ProbeLoop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    settings.OPS_DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def file(data_folder):
    return data_folder / probes.SPILL_FILE


def stands(check):
    """Return what the state and the open segment say."""
    state = CheckState.objects.get(pk=check.pk).standing
    return state, StateSegment.objects.get(check_of=check, ended_at=None).standing


def test_the_last_flush_stores_the_file_before_what_came_after_it(make_check, observe, held, file):
    check = make_check()
    results.store(batch=observe(check, True), held=held)
    start = datetime.now(UTC)
    down = observe(check, False, False, start=start, step=1)
    Spill(file).add(down)
    later = observe(check, True, start=start + timedelta(seconds=5))
    key, (version, tracker) = check.pk, down.trackers[check.pk]
    later.flips.clear()
    moment = start + timedelta(seconds=5)
    later.trackers[key] = (version, replace(tracker, last_at=moment, streak_fail=3))

    async def stop():
        loop = ProbeLoop()
        loop._held = held
        loop._prober = probes.Prober(probes.open_session(), limit=1)
        loop._prober._watches[key] = None
        loop._prober.pending = later
        await loop.close()

    asyncio.run(stop())

    assert stands(check) == ("down", "down")
    assert Alert.objects.get().state == "firing"
    assert not file.exists()


def test_a_memory_without_its_flip_is_not_stored(make_check, observe, held):
    check = make_check()
    results.store(batch=observe(check, True), held=held)
    batch = observe(check, False, False)
    batch.flips.clear()

    assert results.store(batch=batch, held=held) == {check.pk}

    assert stands(check) == ("up", "up")


@pytest.mark.parametrize("outcome", [True, False])
def test_a_state_that_differs_from_its_segment_heals(make_check, observe, held, outcome):
    check = make_check()
    results.store(batch=observe(check, True), held=held)
    CheckState.objects.update(state="down", standing="down", streak_fail=2, streak_ok=0)

    results.store(batch=observe(check, outcome, outcome), held=held)

    assert stands(check) == (("up", "up") if outcome else ("down", "down"))
    assert Alert.objects.filter(state="firing").count() == (not outcome)


def test_what_a_stop_left_unmarked_is_not_stored_again(make_check, observe, held):
    check = make_check()
    batch = observe(check, False, False)
    results.store(batch=batch, held=held)
    Sample.objects.all().delete()  # packed meanwhile

    results.store(batch=batch, held=held, is_old=True)

    assert Sample.objects.count() == 0
    assert Alert.objects.get().count == 1


def test_a_line_that_is_stored_is_not_read_again(make_check, observe, held, file, monkeypatch):
    first, second = make_check(), make_check()
    spill = Spill(file)
    spill.add(observe(first, True))
    spill.add(observe(second, True))
    store, calls = results.store, []

    def away(*, batch, **options):
        calls.append(batch.check_ids)
        if batch.check_ids == {second.pk}:
            message = "gone"
            raise OperationalError(message)
        return store(batch=batch, **options)

    monkeypatch.setattr(results, "store", away)
    with pytest.raises(OperationalError):
        flushing.restore(spill, held)
    monkeypatch.setattr(results, "store", store)

    assert flushing.restore(Spill(file), held) == 1
    assert calls == [{first.pk}, {second.pk}]
    assert Sample.objects.count() == 2
    assert not file.exists()


def test_a_part_that_cannot_be_stored_is_kept_beside_and_holds_nothing_up(
    make_check, observe, held, file, monkeypatch, caplog
):
    first, second = make_check(), make_check()
    spill = Spill(file)
    spill.add(observe(first, True))
    spill.add(observe(second, True))
    store = results.store

    def picky(*, batch, **options):
        if batch.check_ids == {first.pk}:
            message = "what is this"
            raise ValueError(message)
        return store(batch=batch, **options)

    monkeypatch.setattr(results, "store", picky)
    flushing.restore(spill, held)

    assert Sample.objects.get().check_of == second
    assert not file.exists()
    (kept,) = Spill(file.with_name("probes.spill.refused")).batches()
    assert kept.check_ids == {first.pk}
    assert "cannot be stored" in caplog.text


@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_file_that_cannot_be_read_stops_no_probe(
    make_check, held, file, monkeypatch, caplog, is_renamed
):
    make_check()
    file.write_bytes(b"x")

    def refused(*_given):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Spill, "waiting", refused)
    if not is_renamed:
        monkeypatch.setattr(type(file), "rename", refused)

    async def start():
        loop = ProbeLoop()
        await loop(held)
        await loop(held)
        assert loop._probing is not None
        await loop.close()

    asyncio.run(start())

    assert caplog.text.count("What waits in probes.spill cannot be read") == 1
    assert file.exists() is not is_renamed


# The stand-in


def fires():
    return set(Alert.objects.filter(state="firing").values_list("rule", flat=True))


def test_the_stand_in_ends_what_a_dead_prober_told_of_itself(make_check):
    make_check()
    prober_alerts.offline(since=datetime.now(UTC))
    prober_alerts.late(worst_seconds=40)
    assert len(fires()) == 2

    assert asyncio.run(run_once(LOOPS[0]))

    assert Blackout.objects.get().ended_at is not None
    assert fires() == set()


def test_the_stand_in_blames_nobody_without_a_network(make_check, monkeypatch):
    async def cut_off(_self):
        return False

    monkeypatch.setattr(Connectivity, "is_online", cut_off)
    for _ in range(5):
        make_check(strikes_down=1)

    assert asyncio.run(run_once(LOOPS[0]))

    assert set(CheckState.objects.values_list("state", flat=True)) == {"unknown"}
    assert Blackout.objects.get().ended_at is None
    assert fires() == {PROBER_OFFLINE.name}


def test_the_stand_in_stores_first_what_waits_in_the_file(make_check, observe, file):
    check = make_check()
    Spill(file).add(observe(check, True, start=datetime.now(UTC) - timedelta(seconds=1)))

    assert asyncio.run(run_once(LOOPS[0]))

    assert (Sample.objects.count(), file.exists()) == (1, False)
    assert configuration.watches([check.pk])[0][1].standing == "up"
