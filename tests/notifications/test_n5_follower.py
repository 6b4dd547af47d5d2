"""Catch-up without a gap, whatever happens at the same time."""

from __future__ import annotations

import asyncio
import functools
import json
import random
from datetime import UTC, datetime

import pytest

from notifications.engine import follower, frames
from notifications.engine.follower import Follower
from notifications.engine.frames import Entry
from notifications.engine.hub import Hub
from tests.support.sockets import Tape

AUDIENCE = "topic:alerts"


class Rows:
    """A feed in memory, whose answers take their time."""

    def __init__(self, count=0, *, slow=False, seed=0):
        self.seqs = list(range(1, count + 1))
        self.head = count
        self.reads = 0
        self._slow = slow
        self._random = random.Random(seed)  # noqa: S311  # a schedule, no secret

    def publish(self, count=1):
        for _ in range(count):
            self.head += 1
            self.seqs.append(self.head)

    async def _wait(self):
        for _ in range(self._random.randrange(4) if self._slow else 0):
            await asyncio.sleep(0)

    async def heads(self, audiences):  # noqa: ARG002
        await self._wait()
        found = {AUDIENCE: self.head} if self.head else {}
        await self._wait()
        return found

    async def news(self, known):
        await self._wait()
        last = known[AUDIENCE]
        found = {} if last == self.head else {AUDIENCE: (self.head, self._page(last, 500))}
        await self._wait()
        return found

    async def entries(self, audience, after, limit):  # noqa: ARG002
        await self._wait()
        found = self._page(after, limit)
        await self._wait()
        return found

    def _page(self, after, limit):
        self.reads += 1
        wanted = [seq for seq in self.seqs if seq > after][:limit]
        return [Entry(AUDIENCE, seq, "alert", {"n": seq}, datetime.now(UTC)) for seq in wanted]


def heard(tape):
    """Return what a client heard: numbers of entries, and texts of other frames."""
    told = [json.loads(frames.text_of(frame)) for frame in tape.frames]
    return [one["seq"] if one["type"] == "event" else (one["type"], one["seq"]) for one in told]


def join(hub, number="a"):
    tape = Tape()
    return hub.add(number, tape, owner=number, role="operator"), tape


@pytest.fixture
def hub():
    return Hub(most=1000, heartbeat_seconds=30)


def in_loop(test):
    """Run a test that waits."""

    @functools.wraps(test)
    def run(**given):
        asyncio.run(asyncio.wait_for(test(**given), 90))

    return run


async def back(hub, follows, cursor, number="a"):
    """Let a client return with a cursor; give what it hears."""
    socket, tape = join(hub, number)
    await follows.catch_up(socket, AUDIENCE, cursor)
    return tape


@in_loop
async def test_what_was_missed_comes_first_and_what_is_new_follows(hub):
    rows = Rows(10)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, 7)
    rows.publish(2)
    await follows.advance()
    assert heard(tape) == [8, 9, 10, 11, 12]
    assert hub.statistics()["replays"] == 1


@in_loop
async def test_without_a_cursor_only_what_is_new_is_told(hub):
    rows = Rows(10)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, None)
    rows.publish()
    await follows.advance()
    assert heard(tape) == [11]


@pytest.mark.parametrize("seed", range(15))
@in_loop
async def test_nobody_misses_or_repeats_anything_while_others_publish(hub, seed):
    chance = random.Random(seed)  # noqa: S311  # a schedule, no secret
    rows = Rows(chance.randrange(900), slow=True, seed=seed)
    clients = []

    async def publish():
        for _ in range(60):
            rows.publish(chance.randrange(1, 6))
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)

    async def wake(follows):
        while True:
            await follows.advance()
            await asyncio.sleep(0)

    async def connect(follows, number):
        for _ in range(chance.randrange(200)):
            await asyncio.sleep(0)
        cursor = max(0, rows.head - chance.randrange(700))
        socket, tape = join(hub, str(number))
        clients.append((cursor, tape))
        if chance.random() < 0.3:
            tape.stopped = True
        connecting = asyncio.create_task(follows.catch_up(socket, AUDIENCE, cursor))
        while not connecting.done():
            await asyncio.sleep(0)
            if tape.stopped and chance.random() < 0.3:
                tape.drained()
        if tape.stopped:
            tape.go_on()

    follows = Follower(hub, rows)
    waking = asyncio.create_task(wake(follows))
    await asyncio.gather(publish(), *(connect(follows, n) for n in range(25)))
    waking.cancel()
    await asyncio.gather(waking, return_exceptions=True)
    await follows.advance()
    assert len(clients) == 25
    for cursor, tape in clients:
        assert tape.ended is None
        assert heard(tape) == list(range(cursor + 1, rows.head + 1))


@in_loop
async def test_a_thousand_who_return_cost_few_reads(hub):
    rows = Rows(100)
    follows = Follower(hub, rows)
    tapes = []
    for number in range(1000):
        socket, tape = join(hub, str(number))
        await follows.catch_up(socket, AUDIENCE, number % 100)
        tapes.append(tape)
    assert [len(tape.frames) for tape in tapes] == [100 - n % 100 for n in range(1000)]
    assert rows.reads == 1


@pytest.mark.parametrize(
    ("cursor", "said"), [(0, [("resync", 1001)]), (1, list(range(2, 1002)))], ids=["too old", "old"]
)
@in_loop
async def test_a_thousand_entries_are_caught_up_and_no_more(hub, cursor, said):
    rows = Rows(1001)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, cursor)
    rows.publish()
    await follows.advance()
    assert heard(tape) == [*said, 1002]


@in_loop
async def test_trimmed_entries_cannot_be_caught_up(hub):
    rows = Rows(20)
    rows.seqs = [19, 20]
    follows = Follower(hub, rows)
    tape = await back(hub, follows, 10)
    assert heard(tape) == [("resync", 20)]
    second = await back(hub, follows, 18, "b")
    assert heard(second) == [19, 20]


@in_loop
async def test_a_cursor_ahead_of_the_feed_begins_anew(hub):
    rows = Rows(5)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, 50)
    rows.publish()
    await follows.advance()
    assert heard(tape) == [("resync", 5), 6]


@in_loop
async def test_a_cursor_ahead_of_this_process_is_no_reason_to_begin_anew(hub):
    rows = Rows(5)
    follows = Follower(hub, rows)
    await back(hub, follows, None)
    rows.publish(3)
    tape = await back(hub, follows, 7, "b")
    assert heard(tape) == [8]


@in_loop
async def test_a_database_that_was_restored_begins_anew_for_all(hub):
    rows = Rows(10)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, None)
    rows.seqs, rows.head = [1, 2, 3], 3
    await follows.advance()
    rows.publish()
    await follows.advance()
    assert heard(tape) == [("resync", 3), 4]


@in_loop
async def test_entries_trimmed_before_they_were_read_begin_anew(hub):
    rows = Rows(3)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, None)
    rows.publish(5)
    rows.seqs = [7, 8]
    await follows.advance()
    assert heard(tape) == [("resync", 6), 7, 8]


@in_loop
async def test_a_long_way_behind_is_read_in_pages(hub):
    rows = Rows(0)
    follows = Follower(hub, rows)
    tape = await back(hub, follows, None)
    rows.publish(1700)
    await follows.advance()
    assert heard(tape) == list(range(1, 1701))


@in_loop
async def test_large_entries_do_not_stay_in_memory(hub, monkeypatch):
    monkeypatch.setattr(follower, "_MOST_RING_BYTES", 1_000)
    rows = Rows(0)
    follows = Follower(hub, rows)
    await back(hub, follows, None)
    rows.publish(100)
    await follows.advance()
    tape = await back(hub, follows, 98, "b")
    other = await back(hub, follows, 5, "c")
    assert heard(tape) == [99, 100]
    assert heard(other) == [("resync", 100)]


@in_loop
async def test_a_client_that_leaves_in_the_middle_is_forgotten(hub):
    rows = Rows(500)
    follows = Follower(hub, rows)
    socket, tape = join(hub)
    tape.stopped = True
    catching = asyncio.create_task(follows.catch_up(socket, AUDIENCE, 0))
    for _ in range(5):
        await asyncio.sleep(0)
    hub.remove(socket, 1001)
    await catching
    assert not hub.is_followed(AUDIENCE)
    assert len(tape.frames) < 200


@in_loop
async def test_an_audience_that_nobody_follows_is_not_read(hub):
    rows = Rows(1)
    follows = Follower(hub, rows)
    socket, _ = join(hub)
    await follows.catch_up(socket, AUDIENCE, None)
    hub.remove(socket, 1001)
    rows.publish()
    await follows.advance()
    assert rows.reads == 0


@in_loop
async def test_a_right_that_is_lost_while_rows_are_read_ends_the_catch_up(hub):
    rows = Rows(300)
    follows = Follower(hub, rows)
    socket, tape = join(hub)
    await follows.catch_up(socket, AUDIENCE, 0, is_wanted=lambda: not rows.reads)
    rows.publish()
    await follows.advance()
    assert (heard(tape), hub.is_followed(AUDIENCE)) == ([], False)


@in_loop
async def test_a_right_that_is_lost_ends_a_replay_under_way(hub):
    rows = Rows(300)
    follows = Follower(hub, rows)
    socket, tape = join(hub)
    tape.stopped = True
    catching = asyncio.create_task(
        follows.catch_up(socket, AUDIENCE, 0, is_wanted=lambda: not tape.frames)
    )
    for _ in range(5):
        await asyncio.sleep(0)
    tape.go_on()
    await catching
    assert (heard(tape), hub.is_followed(AUDIENCE)) == ([1, 2], False)


@in_loop
async def test_who_does_not_read_what_was_missed_is_too_slow(hub, monkeypatch):
    monkeypatch.setattr(follower, "STALL_SECONDS", 0.05)
    rows = Rows(300)
    follows = Follower(hub, rows)
    socket, tape = join(hub)
    tape.stopped = True
    await follows.catch_up(socket, AUDIENCE, 0)
    assert tape.ended == (4409, "too slow")
    assert (hub.stats["slow_closes"], hub.is_followed(AUDIENCE)) == (1, False)


@in_loop
async def test_what_is_too_large_to_catch_up_is_not_read_again_for_each_who_returns(
    hub, monkeypatch
):
    monkeypatch.setattr(follower, "_MOST_RING_BYTES", 20_000)
    rows = Rows(900)
    follows = Follower(hub, rows)
    tapes = [await back(hub, follows, number, str(number)) for number in range(50, -1, -1)]
    assert all(heard(tape) == [("resync", 900)] for tape in tapes)
    # It ended at the page that was too much, and nobody tried again.
    assert rows.reads == 2
    assert heard(await back(hub, follows, 850, "near")) == list(range(851, 901))
