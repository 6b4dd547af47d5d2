"""Processes report that they live, and stop reporting when they hang or end."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from core import processes
from core.models import Process
from core.processes import Reporter

pytestmark = pytest.mark.django_db(transaction=True)


def _soon(condition):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(processes, "BEAT_SECONDS", 0.05)


def test_the_row_comes_and_goes():
    with Reporter(Process.Kind.WEB):
        assert _soon(lambda: Process.objects.filter(kind="web").count() == 1)
    assert Process.objects.count() == 0


def test_the_row_is_renewed():
    with Reporter(Process.Kind.WEB):
        assert _soon(Process.objects.exists)
        first = Process.objects.get().beat_at
        assert _soon(lambda: Process.objects.get().beat_at > first)
        assert Process.objects.count() == 1


def test_a_process_that_hangs_does_not_look_well():
    alive = [True]
    with Reporter(Process.Kind.DAEMON, alive=lambda: alive[0]):
        assert _soon(Process.objects.exists)
        alive[0] = False
        time.sleep(0.2)
        last = Process.objects.get().beat_at
        time.sleep(0.2)
        assert Process.objects.get().beat_at == last


def test_rows_of_the_long_dead_are_forgotten():
    then = timezone.now() - timedelta(hours=2)
    Process.objects.create(
        kind="web", host="gone", pid=1, version="0", started_at=then, beat_at=then
    )
    with Reporter(Process.Kind.WEB):
        assert _soon(lambda: not Process.objects.filter(host="gone").exists())
