"""Slices work in threads with the ids of their caller, and stand in only where nobody works."""

import asyncio

import pytest

from core import leases, loops, tracing
from core.loops import Loop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _pool():
    yield
    loops.close_pool()


def test_threads_carry_the_ids_of_the_slice():
    async def ask():
        with tracing.bind(request_id="a-request-id", trace_id="b" * 32):
            return await loops.in_thread(tracing.current)

    seen = asyncio.run(ask())
    assert (seen.request_id, seen.trace_id) == ("a-request-id", "b" * 32)


def test_a_stand_in_runs_one_slice_and_gives_the_lease_back():
    ran = []
    loop = Loop("test.loop", 1, 30, loops.threaded(lambda held: ran.append(held.name)), "A test.")
    assert asyncio.run(loops.run_once(loop))
    assert ran == ["test.loop"]
    assert not leases.is_held(name="test.loop")


def test_a_stand_in_does_nothing_while_somebody_holds_the_lease():
    ran = []
    leases.acquire(name="test.loop", seconds=30)
    loop = Loop("test.loop", 1, 30, loops.threaded(ran.append), "A test.")
    assert not asyncio.run(loops.run_once(loop))
    assert ran == []
