"""A loop that is woken begins its next slice at once; whoever is not at work here is not woken."""

import asyncio
import os
import signal
import threading

import pytest

from core import loops, runner
from core.loops import Loop

pytestmark = pytest.mark.django_db(transaction=True)

# Nothing here may come about by waiting for a period.
FOR_EVER = 3_600.0
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def _pool():
    yield
    loops.close_pool()


class Counted:
    """A loop whose slices are counted, and seen from outside as they begin."""

    def __init__(self, name="test.loop"):
        self.began = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.count = 0
        self.loop = Loop(name, FOR_EVER, 60, lambda: self.run, "A test.")

    async def run(self, _held):
        self.count += 1
        self.began.release()
        await self.go_on.wait()

    async def slice_begins(self):
        await asyncio.wait_for(self.began.acquire(), PATIENCE)


async def while_running(scenario, *counted):
    """Run the loops of a runner until the scenario has come to its end, then ask it to stop."""
    running = asyncio.create_task(runner._Runner([one.loop for one in counted]).main())
    try:
        await scenario
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, PATIENCE)


def test_a_wake_from_another_thread_begins_a_slice_at_once():
    async def main():
        counted, other = Counted(), Counted("test.other")

        async def scenario():
            await counted.slice_begins()
            await other.slice_begins()
            for _ in range(3):
                thread = threading.Thread(target=loops.wake, args=("test.loop",))
                thread.start()
                await asyncio.to_thread(thread.join)
                await counted.slice_begins()

        await while_running(scenario(), counted, other)
        return counted.count, other.count

    # The neighbour sleeps on.
    assert asyncio.run(main()) == (4, 1)


def test_wakes_during_a_slice_are_one_more_slice():
    async def main():
        counted = Counted()

        async def scenario():
            counted.go_on.clear()
            await counted.slice_begins()
            for _ in range(5):
                loops.wake("test.loop")
            # They have been heard before the slice ends.
            await asyncio.sleep(0)
            counted.go_on.set()
            await counted.slice_begins()

        await while_running(scenario(), counted)
        return counted.count

    assert asyncio.run(main()) == 2


def test_a_wake_of_a_loop_that_runs_elsewhere_does_nothing():
    counted = Counted()
    loops.wake("test.loop")

    async def main():
        await while_running(counted.slice_begins(), counted)

    asyncio.run(main())
    # It has ended: nothing is left that could be woken.
    loops.wake("test.loop")
    assert counted.count == 1
    assert loops._alarms == {}


def test_a_wake_after_the_event_loop_has_ended_is_harmless():
    async def leave():
        heeding = loops.heeding("test.loop", asyncio.Event())
        heeding.__enter__()
        return heeding

    heeding = asyncio.run(leave())
    try:
        loops.wake("test.loop")
    finally:
        heeding.__exit__(None, None, None)
    assert loops._alarms == {}
