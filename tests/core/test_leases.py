"""One holder at a time; an old token is refused."""

import os
import subprocess
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from core import leases
from core.leases import LeaseLostError
from core.models import Lease

pytestmark = pytest.mark.django_db


def _expire(name):
    Lease.objects.filter(name=name).update(until=timezone.now() - timedelta(seconds=1))


def test_a_held_lease_is_refused_to_others():
    held = leases.acquire(name="loop", seconds=30)

    assert leases.acquire(name="loop", seconds=30) is None
    assert leases.is_held(name="loop")
    assert Lease.objects.get().holder == held.holder


def test_a_lease_that_ran_out_goes_to_the_next_with_a_higher_token():
    first = leases.acquire(name="loop", seconds=30)
    _expire("loop")

    second = leases.acquire(name="loop", seconds=30)

    assert second.token == first.token + 1
    assert not leases.renew(first, seconds=30)
    assert leases.renew(second, seconds=30)


def test_the_old_holder_cannot_write():
    first = leases.acquire(name="loop", seconds=30)
    _expire("loop")
    leases.acquire(name="loop", seconds=30)

    with pytest.raises(LeaseLostError), transaction.atomic():
        leases.fence(first)


def test_a_fence_holds_for_the_holder():
    held = leases.acquire(name="loop", seconds=30)
    with transaction.atomic():
        leases.fence(held)


def test_a_released_lease_is_free_at_once():
    first = leases.acquire(name="loop", seconds=3_000)
    leases.release(first)

    assert not leases.is_held(name="loop")
    assert leases.acquire(name="loop", seconds=30).token == first.token + 1


def test_releasing_a_lost_lease_does_not_free_the_successors():
    first = leases.acquire(name="loop", seconds=30)
    _expire("loop")
    leases.acquire(name="loop", seconds=30)

    leases.release(first)

    assert leases.is_held(name="loop")


def test_an_end_from_before_the_clock_stepped_back_does_not_hold():
    first = leases.acquire(name="loop", seconds=30)
    Lease.objects.update(until=timezone.now() + timedelta(hours=1))
    second = leases.acquire(name="loop", seconds=30)
    assert second.token == first.token + 1


def test_leases_of_the_dead_are_freed_and_those_of_the_living_are_not():
    child = subprocess.Popen(["true"])
    child.wait()
    dead = leases.new_holder().replace(f":{os.getpid()}:", f":{child.pid}:")
    leases.acquire(name="dead", seconds=300, holder=dead)
    leases.acquire(name="living", seconds=300)
    leases.acquire(name="elsewhere", seconds=300, holder="another-machine:1:1:x")

    assert leases.release_of_the_dead() == 1

    assert not leases.is_held(name="dead")
    assert leases.is_held(name="living")
    assert leases.is_held(name="elsewhere")
