"""Of several beats one sends; another takes over when it is gone."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from core.models import Lease
from opsplatform.beat import LeasedScheduler
from opsplatform.celery import app

# The scheduler closes old connections, which a surrounding transaction would not survive.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch):
    call_command("sync_periodic_jobs")
    names = []
    monkeypatch.setattr(
        LeasedScheduler, "apply_async", lambda _self, entry, **_options: names.append(entry.name)
    )
    return names


def _beat():
    return LeasedScheduler(app=app, lazy=True)


def test_the_holder_of_the_lease_ticks(sent):
    assert _beat().tick() <= 5.0
    assert Lease.objects.get(name="beat").token == 1


def test_another_stands_by(sent, monkeypatch):
    _beat().tick()
    ticked = []
    monkeypatch.setattr(
        "django_celery_beat.schedulers.DatabaseScheduler.tick",
        lambda *_args, **_options: ticked.append(1) or 0.0,
    )
    assert _beat().tick() == 5.0
    assert ticked == []


def test_another_takes_over_when_the_lease_runs_out(sent):
    _beat().tick()
    second = _beat()
    second.tick()
    Lease.objects.filter(name="beat").update(until=timezone.now() - timedelta(seconds=1))
    second.tick()
    assert Lease.objects.get(name="beat").token == 2


def test_a_beat_that_ends_gives_the_lease_back(sent):
    first = _beat()
    first.tick()
    first.close()
    _beat().tick()
    assert Lease.objects.get(name="beat").token == 2


def test_a_database_that_is_away_is_waited_for(sent, monkeypatch, caplog):
    def away(*_args, **_options):
        raise OperationalError

    monkeypatch.setattr("opsplatform.beat.leases.acquire", away)
    assert _beat().tick() == 5.0
    assert "beat tries again" in caplog.text
