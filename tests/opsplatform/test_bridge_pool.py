"""As many requests run as there are threads; the line before them is bounded."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from opsplatform.bridge.pool import Pool
from opsplatform.bridge.types import RefusedError
from tests.support.asgi import ask, make_bridge, scope


class Gate:
    """A WSGI application whose requests wait until the gate is opened."""

    def __init__(self):
        self.opened = threading.Event()
        self.served = []
        self.most_at_once = 0
        self.gone_seen = []
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        """Wait, then answer."""
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self.served.append(environ["PATH_INFO"])
        assert self.opened.wait(10)
        self.gone_seen.append(environ["opsplatform.client_gone"]())
        with self._lock:
            self._now -= 1
        start_response("200 OK", [])
        return [b"done"]


async def until(condition):
    """Wait until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in threads
            await asyncio.sleep(0.005)


def test_no_more_requests_run_than_there_are_threads():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=2)
        requests = [asyncio.create_task(ask(bridge, scope(path=f"/{n}"))) for n in range(6)]
        await until(lambda: len(gate.served) == 2)
        gate.opened.set()
        return [answer.body for answer in await asyncio.gather(*requests)]

    assert asyncio.run(run()) == [b"done"] * 6
    assert gate.most_at_once == 2
    assert sorted(gate.served) == [f"/{n}" for n in range(6)]


def test_a_full_line_answers_503_at_once():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1, waiting_per_thread=2)
        requests = [asyncio.create_task(ask(bridge)) for _ in range(3)]
        await until(lambda: gate.served)
        refused = await ask(bridge)
        gate.opened.set()
        return refused, await asyncio.gather(*requests)

    refused, answers = asyncio.run(run())

    assert (refused.status, refused.header("retry-after")) == (503, "2")
    assert json.loads(refused.body)["detail"] == "The server has too many requests waiting."
    assert [answer.status for answer in answers] == [200] * 3


def test_who_waited_too_long_is_answered_503():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1, longest_wait_seconds=0.05)
        first = asyncio.create_task(ask(bridge))
        await until(lambda: gate.served)
        refused = await ask(bridge, scope(path="/second"))
        gate.opened.set()
        return refused, await first, await ask(bridge, scope(path="/third"))

    refused, first, third = asyncio.run(run())

    assert (refused.status, refused.header("retry-after")) == (503, "2")
    assert (first.status, third.status, gate.served) == (200, 200, ["/", "/third"])


def test_a_client_that_left_the_line_is_not_served():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1)
        first = asyncio.create_task(ask(bridge))
        await until(lambda: gate.served)
        left = asyncio.Event()
        second = asyncio.create_task(ask(bridge, scope(path="/second"), leave=left))
        await asyncio.sleep(0.01)
        left.set()
        gate.opened.set()
        third = await ask(bridge, scope(path="/third"))
        return await first, await second, third

    first, second, third = asyncio.run(run())

    assert (first.status, second.status, third.status) == (200, 0, 200)
    assert gate.served == ["/", "/third"]


def test_a_long_view_is_told_that_its_client_left():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate)
        left = asyncio.Event()
        left.set()
        request = asyncio.create_task(ask(bridge, leave=left))
        # Listening begins after a quarter of a second.
        await asyncio.sleep(0.4)
        gate.opened.set()
        await request

    asyncio.run(run())

    assert gate.gone_seen == [True]


def test_a_cancelled_request_keeps_its_thread_until_the_work_is_done():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1)
        request = asyncio.create_task(ask(bridge))
        await until(lambda: gate.served)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        second = asyncio.create_task(ask(bridge, scope(path="/second")))
        await asyncio.sleep(0.02)
        before = [*gate.served]
        gate.opened.set()
        return before, (await second).status

    assert asyncio.run(run()) == (["/"], 200)
    assert gate.gone_seen == [True, False]


def test_threads_that_crash_serve_on():
    def application(environ, start_response):
        raise SystemExit

    async def run():
        bridge = make_bridge(application, threads=1)
        return [(await ask(bridge)).status for _ in range(3)]

    assert asyncio.run(run()) == [500] * 3


def health(bridge):
    """Ask for liveness."""

    async def application(request, receive, send):
        await bridge.health(request, send)

    return ask(application, scope(path="/healthz"))


def test_liveness_is_answered_while_all_threads_are_busy():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1)
        requests = [asyncio.create_task(ask(bridge)) for _ in range(5)]
        await until(lambda: gate.served)
        answer = await health(bridge)
        gate.opened.set()
        await asyncio.gather(*requests)
        return answer

    answer = asyncio.run(run())

    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
    assert answer.header("x-security") == "yes"


@pytest.mark.parametrize(("waiting", "status"), [(0, 200), (1, 500)])
def test_liveness_fails_only_if_somebody_waits_and_nothing_moves(waiting, status):
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1, stuck_seconds=0.05)
        first = asyncio.create_task(ask(bridge))
        await until(lambda: gate.served)
        others = [asyncio.create_task(ask(bridge)) for _ in range(waiting)]
        early = await health(bridge)
        await asyncio.sleep(0.06)
        late = await health(bridge)
        gate.opened.set()
        await asyncio.gather(first, *others)
        return early.status, late.status, (await health(bridge)).status

    assert asyncio.run(run()) == (200, status, 200)


def test_liveness_fails_too_if_all_who_waited_were_sent_away():
    gate = Gate()

    async def run():
        bridge = make_bridge(gate, threads=1, stuck_seconds=0.05, longest_wait_seconds=0.01)
        first = asyncio.create_task(ask(bridge))
        await until(lambda: gate.served)
        await ask(bridge)
        await asyncio.sleep(0.06)
        answer = await health(bridge)
        gate.opened.set()
        await first
        return answer.status

    assert asyncio.run(run()) == 500


def test_closing_ends_the_threads():
    async def run():
        pool = Pool(2)
        ran = []
        for _ in range(2):
            await pool.enter()
            pool.run(lambda: ran.append(threading.current_thread()))
        pool.close()
        await until(lambda: len(ran) == 2)
        for thread in set(ran):
            thread.join(5)
        return [thread.is_alive() for thread in ran]

    assert asyncio.run(run()) == [False, False]


def test_a_cancelled_wait_takes_no_thread():
    async def run():
        pool = Pool(1)
        await pool.enter()
        waiting = asyncio.create_task(pool.enter())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        pool.leave()
        return await asyncio.wait_for(pool.enter(), 1)

    assert asyncio.run(run()) is False


def test_a_refusal_carries_its_status():
    refusal = RefusedError(503, "later", retry_after_seconds=2)

    assert (refusal.status, refusal.detail, refusal.retry_after_seconds) == (503, "later", 2)


def test_a_long_stream_is_no_reason_to_kill():
    def stream():
        for _ in range(20):
            time.sleep(0.04)
            yield b"x"

    def application(environ, start_response):
        start_response("200 OK", [])
        return stream()

    async def run():
        bridge = make_bridge(application, threads=1, stuck_seconds=0.5)
        statuses = []

        async def look(block):
            statuses.append((await health(bridge)).status)

        first = asyncio.create_task(ask(bridge, on_block=look))
        await asyncio.sleep(0)
        await asyncio.gather(first, ask(bridge))
        return statuses

    assert asyncio.run(run()) == [200] * 20
