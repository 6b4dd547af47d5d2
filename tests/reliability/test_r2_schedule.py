import pytest

from reliability.engine.schedule import Schedule, next_turn, phase


def test_the_earliest_due_check_comes_first():
    schedule = Schedule()
    for key, due in [(1, 30.0), (2, 10.0), (3, 20.0)]:
        schedule.put(key, due)

    assert schedule.next_due() == 10.0
    assert [schedule.pop(25.0) for _ in range(3)] == [2, 3, None]
    assert schedule.next_due() == 30.0


def test_a_later_entry_replaces_the_earlier_one():
    schedule = Schedule()
    schedule.put(1, 10.0)
    schedule.put(1, 50.0)

    assert schedule.pop(49.0) is None
    assert schedule.pop(50.0) == 1
    assert schedule.next_due() is None


def test_a_dropped_check_is_never_due():
    schedule = Schedule()
    schedule.put(1, 10.0)
    schedule.drop(1)
    schedule.drop(2)

    assert schedule.pop(99.0) is None


def test_turns_are_one_interval_apart_and_after_the_moment():
    first = next_turn(7, 60, after=1000.0)

    assert 1000.0 < first <= 1060.0
    assert next_turn(7, 60, after=first) == pytest.approx(first + 60)
    assert next_turn(7, 60, after=first - 0.001) == pytest.approx(first)


def test_a_phase_is_the_same_on_every_machine():
    assert phase(1) == pytest.approx(0.9648, abs=1e-4)
    assert phase(2) == pytest.approx(0.1092, abs=1e-4)


def test_phases_spread_the_load_evenly():
    seconds = [0] * 60
    for key in range(6000):
        seconds[int(next_turn(key, 60, after=0)) % 60] += 1

    assert min(seconds) > 60
    assert max(seconds) < 150
