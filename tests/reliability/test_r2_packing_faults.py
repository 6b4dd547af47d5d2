"""A packer is killed, wherever: no result is lost, and none is there twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from core import leases
from reliability.models import Rollup, Sample, SampleChunk
from reliability.selectors import results
from reliability.services import packing
from tests.support.followers import ROOT, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

NOW = datetime(2026, 7, 3, 12, 5, tzinfo=UTC)
START = datetime(2026, 6, 30, 3, tzinfo=UTC)


@pytest.mark.parametrize("stage", ["taken", "stored", "joined"])
def test_killed_half_way_nothing_is_lost_and_the_next_one_finishes(make_check, stage):
    check = make_check()
    Sample.objects.bulk_create(
        Sample(check_of=check, at=START + timedelta(minutes=n), ok=n % 7 > 0, latency_ms=20)
        for n in range(120)
    )
    wanted = [START + timedelta(minutes=n) for n in range(120)]

    dead = subprocess.run(
        [sys.executable, "-m", "tests.support.dying_packer", NOW.isoformat(), stage],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr

    assert told(check) == wanted
    leases.release_of_the_dead()
    packing.run(now=NOW)

    assert told(check) == wanted
    assert Sample.objects.count() == 0
    chunk, day = SampleChunk.objects.get(), Rollup.objects.get(check_of=check)
    assert (chunk.seconds, chunk.n, chunk.bad) == (86_400, 120, 18)
    assert (day.n, day.bad) == (120, 18)
    whole = Rollup.objects.get(check_of=None, seconds=86_400)
    assert (whole.n, whole.bad) == (120, 18)


def told(check):
    found = results.of_check(check.pk, start=START, end=NOW, newest_first=False)
    return [one.at for one in found]
