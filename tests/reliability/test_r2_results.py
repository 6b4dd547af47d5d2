from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from core import leases
from core.leases import LeaseLostError
from reliability.engine.strikes import Shift, Standing
from reliability.models import CheckState, Incident, Sample, StateSegment
from reliability.services import answers, catalogue, results, standings, states
from reliability.services.probes import LEASE
from tests.reliability.conftest import result_of


def history(check):
    return list(
        StateSegment.objects.filter(check_of=check)
        .order_by("pk")
        .values_list("standing", "started_at", "ended_at")
    )


def test_results_states_and_segments_are_stored_together(make_check, see):
    check = make_check()
    begin = datetime.now(UTC)

    assert see(check, True, False, False, start=begin) == set()

    state = CheckState.objects.get()
    assert (state.state, state.standing, state.streak_fail) == ("down", "down", 2)
    assert (state.last_code, state.last_failure, state.last_ms) == (503, "status", 12.5)
    assert state.last_at == begin + timedelta(seconds=40)
    assert Sample.objects.filter(ok=False, manual=False).count() == 2
    down_at = begin + timedelta(seconds=20)
    assert history(check)[1:] == [("up", begin, down_at), ("down", down_at, None)]
    assert history(check)[0][0::2] == ("unknown", begin)


def test_bodies_are_masked_and_kept_for_failures_only(make_check, see):
    see(make_check(), True, False)

    good, bad = Sample.objects.order_by("at")
    assert good.excerpt == ""
    assert bad.excerpt == "<h1>Sorry</h1> password=[masked]"


def test_a_kept_body_is_short_and_its_end_hides_no_half_secret():
    text = "é" * 2040 + " password=hunter22hunter22"

    kept = answers.kept(text)

    assert len(kept.encode()) <= 4096
    assert kept.endswith(" password=[maske")


def test_an_older_prober_stores_nothing(make_check, observe, held):
    check = make_check()
    batch = observe(check, False, False)
    leases.release(held)
    assert leases.acquire(name=LEASE, seconds=60) is not None

    with pytest.raises(LeaseLostError):
        results.store(batch=batch, held=held)

    assert (Sample.objects.count(), Incident.objects.count()) == (0, 0)
    assert CheckState.objects.get().state == "unknown"


def test_a_batch_stored_twice_changes_nothing_the_second_time(make_check, observe, held):
    check = make_check()
    batch = observe(check, True, False, False)
    results.store(batch=batch, held=held)
    before = history(check)

    assert results.store(batch=batch, held=held) == {check.pk}

    assert history(check) == before
    assert (Sample.objects.count(), Incident.objects.count()) == (3, 1)
    assert CheckState.objects.get().state == "down"


def test_results_of_an_older_configuration_move_no_state(make_check, observe, held, operator):
    check = make_check()
    batch = observe(check, False, False)
    catalogue.update_check(actor=operator, check_id=check.pk, url="http://127.0.0.1:10/")

    assert results.store(batch=batch, held=held) == {check.pk}

    assert CheckState.objects.get().state == "unknown"
    assert (Incident.objects.count(), Sample.objects.count()) == (0, 2)


def test_results_of_a_check_switched_off_move_no_state(make_check, observe, held, operator):
    check = make_check()
    batch = observe(check, False, False)
    catalogue.update_check(actor=operator, check_id=check.pk, enabled=False)

    assert results.store(batch=batch, held=held) == {check.pk}
    assert CheckState.objects.get().state == "unknown"


def test_results_of_a_deleted_check_are_dropped_and_the_others_stored(
    make_check, observe, held, operator
):
    gone, kept = make_check(), make_check()
    batch = observe(gone, False, False)
    batch.prepend(observe(kept, True))
    catalogue.delete_check(actor=operator, check_id=gone.pk)

    assert results.store(batch=batch, held=held) == {gone.pk}

    assert [sample.check_of for sample in Sample.objects.all()] == [kept]
    assert CheckState.objects.get().state == "up"


def test_time_without_a_prober_is_stored_as_unknown(make_check, see):
    check = make_check()
    begin = datetime.now(UTC)
    see(check, True, start=begin)
    see(check, True, start=begin + timedelta(hours=1))

    lost_at = begin + timedelta(seconds=100)
    assert history(check)[1:] == [
        ("up", begin, lost_at),
        ("unknown", lost_at, begin + timedelta(hours=1)),
        ("up", begin + timedelta(hours=1), None),
    ]


def test_an_incident_goes_on_over_a_time_without_a_prober(make_check, see):
    check = make_check()
    begin = datetime.now(UTC)
    see(check, False, False, start=begin)
    see(check, False, start=begin + timedelta(hours=1))

    assert [row[0] for row in history(check)] == ["unknown", "down", "unknown", "down"]
    assert Incident.objects.get().state == "triggered"


def test_an_outage_after_a_clock_step_back_lasts_as_long_as_it_does(make_check, see):
    check = make_check()
    now = datetime.now(UTC)
    see(check, True, start=now + timedelta(hours=1))
    see(check, False, False, True, True, start=now + timedelta(minutes=30))

    back_at = now + timedelta(minutes=30)
    up_at = back_at + timedelta(seconds=40)
    assert history(check)[2:] == [
        ("unknown", back_at, back_at),
        ("down", back_at, up_at),
        ("up", up_at, None),
    ]
    # What began at the wrong time lasts no time.
    assert history(check)[1] == ("up", now + timedelta(hours=1), now + timedelta(hours=1))
    assert Incident.objects.get().state == "resolved"


def test_a_check_made_before_a_clock_step_back_is_stored_at_the_new_time(make_check, see):
    check = make_check()
    back_at = datetime.now(UTC) - timedelta(hours=1)

    assert see(check, True, start=back_at) == set()

    assert history(check)[-1] == ("up", back_at, None)
    assert CheckState.objects.get().since == back_at


def test_a_shift_from_before_the_open_segment_is_refused(make_check, see):
    check = make_check()
    see(check, True)
    before = history(check)
    earlier = Shift(before[-1][1] - timedelta(seconds=1), Standing.UP, Standing.DOWN)

    assert not states.shift(check_id=check.pk, change=earlier)

    assert history(check) == before


def test_a_failure_between_writes_leaves_nothing_behind(make_check, observe, held, monkeypatch):
    check = make_check()

    def broken(**kwargs):
        raise RuntimeError

    monkeypatch.setattr(standings.check_alerts, "went_down", broken)

    with pytest.raises(RuntimeError):
        results.store(batch=observe(check, False, False), held=held)

    assert (Sample.objects.count(), Incident.objects.count()) == (0, 0)
    assert len(history(check)) == 1


def test_text_that_no_database_stores_is_replaced_by_the_engine():
    from core.http import OutgoingResponse, Phases
    from reliability.engine.probes.base import result_of
    from reliability.engine.probes.http import _judge
    from tests.reliability.test_r2_probe import AT, target

    answer = OutgoingResponse(
        status=500,
        headers={},
        body=b"a\0b\xff",
        truncated=False,
        url="http://x.example/",
        phases=Phases(),
    )
    asked = target("http://x.example/")

    result = result_of(asked, AT, _judge(asked, answer))

    assert (result.detail, result.excerpt) == ("HTTP 500 Internal Server Error", "a\ufffdb\ufffd")


def test_the_number_of_statements_does_not_grow_with_the_checks(make_check, observe, held):
    batches = []
    for count in (2, 8):
        batch = observe(make_check(), True)
        for _ in range(count - 1):
            batch.prepend(observe(make_check(), True))
        results.store(batch=batch, held=held)
        batch.flips.clear()
        batches.append(batch)

    counts = []
    for batch in batches:
        with connection.execute_wrapper(lambda run, *args: (counts.append(1), run(*args))[1]):
            results.store(batch=batch, held=held)
        counts.append(-1)

    first = counts.index(-1)
    assert first == len(counts) - first - 2


def test_manual_results_move_nothing(make_check):
    check = make_check()

    results.store_samples([result_of(check, ok=False, at=datetime.now(UTC))], manual=True)

    assert Sample.objects.get().manual
    assert CheckState.objects.get().last_at is None


def test_a_batch_is_divided_without_tearing_a_check(make_check, observe):
    batch = observe(make_check(), True, False, False)
    for _ in range(4):
        batch.prepend(observe(make_check(), True, False, False))

    parts = list(batch.parts(most_checks=3, most_flips=4))

    assert [len(part.check_ids) for part in parts] == [2, 2, 1]
    assert sum(len(part.results) for part in parts) == 15
    for part in parts:
        assert {flip.check_id for flip in part.flips} == part.trackers.keys()
    assert [len(part.check_ids) for part in batch.parts(most_checks=3, most_flips=99)] == [3, 2]
