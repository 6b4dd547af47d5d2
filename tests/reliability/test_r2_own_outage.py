"""A fault of the prober's own makes checks unknown and never down."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from core.http import Policy, session
from notifications.models import Event
from reliability.engine import pauses
from reliability.engine.connectivity import Connectivity, Mass
from reliability.engine.lateness import Lateness
from reliability.engine.pauses import Pauses
from reliability.engine.probe import Failure, Target
from reliability.engine.prober import Prober
from reliability.engine.strikes import Rules, Standing, State, Tracker
from reliability.models import Alert, Blackout
from reliability.services import prober_alerts
from tests.support.servers import serving, unused_port

AT = datetime(2026, 1, 1, tzinfo=UTC)


# How many failures are too many


def test_most_of_five_or_more_failing_is_suspicious():
    mass = Mass()
    for key in range(4):
        mass.note(key, ok=False, now=0)
    assert not mass.is_suspicious(0)

    mass.note(4, ok=False, now=0)
    assert mass.is_suspicious(0)

    for key in range(5, 10):
        mass.note(key, ok=True, now=1)
    assert not mass.is_suspicious(1)


def test_only_the_newest_result_of_a_check_counts_and_not_for_ever():
    mass = Mass()
    for _ in range(9):
        mass.note(1, ok=False, now=0)
    assert not mass.is_suspicious(0)

    for key in range(5):
        mass.note(key, ok=False, now=0)
    assert mass.is_suspicious(30)
    assert not mass.is_suspicious(31)
    assert not mass._lately


# Anchors


async def online(*anchors):
    async with session(Policy.MONITOR) as client:
        return await Connectivity(client, anchors).is_online()


def test_one_anchor_that_answers_or_refuses_is_enough():
    async def scenario():
        async with session(Policy.MONITOR) as client:
            server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            try:
                port = server.sockets[0].getsockname()[1]
                refusing = ("127.0.0.1", unused_port())
                gone = ("does-not-exist.invalid", 53)
                return [
                    await Connectivity(client, anchors).is_online()
                    for anchors in ([refusing], [gone, refusing], [gone])
                ], port
            finally:
                server.close()

    answers, _ = asyncio.run(scenario())

    assert answers == [True, True, False]


def test_name_servers_that_never_answered_prove_nothing():
    async def scenario():
        async with session(Policy.MONITOR) as client:
            connectivity = Connectivity(client)
            answers = [True, False]

            async def root():
                return answers.pop()

            connectivity._reaches_root = root
            found = []
            for _ in range(2):
                found.append(await connectivity.is_online())
                connectivity._until = 0.0
            answers.append(False)
            found.append(await connectivity.is_online())
            return found

    assert asyncio.run(scenario()) == [True, True, False]


def test_many_who_ask_at_once_cause_one_question():
    asked = []

    async def scenario():
        async with session(Policy.MONITOR) as client:
            connectivity = Connectivity(client, [("127.0.0.1", 1)])

            async def anchor(*_anchor):
                asked.append(1)
                await asyncio.sleep(0)
                return False

            connectivity._reaches_anchor = anchor
            return await asyncio.gather(*(connectivity.is_online() for _ in range(50)))

    assert asyncio.run(scenario()) == [False] * 50
    assert asked == [1]


# The prober


def target(key, url, *, strikes_down=1):
    rules = Rules(interval_seconds=10, timeout_seconds=5, strikes_down=strikes_down)
    return Target(key, 1, url, rules, 20)


def up(at=None):
    at = at or datetime.now(UTC)
    return Tracker(since=at, state=State.UP, standing=Standing.UP, streak_ok=1, last_at=at)


class Verdict:
    """Anchors whose answer the test gives."""

    def __init__(self, *, is_online):
        self.answer = is_online

    async def is_online(self):
        """Return the answer."""
        return self.answer

    async def close(self):
        """Nothing is open."""


def probed(watches, *, connectivity=None, pauses=None, count=None):
    """Run a prober until each check has been noted; return it with its batch."""

    async def scenario():
        client = session(Policy.MONITOR)
        prober = Prober(client, limit=100, connectivity=connectivity, pauses=pauses, per_host=100)
        prober.replace(watches, at_once=True)
        end = time.monotonic() + 30
        while len(prober.pending.trackers) < (count or len(watches)):
            assert time.monotonic() < end
            await prober.run(until=time.monotonic() + 0.1)
        await prober.close()
        return prober, prober.take()

    return asyncio.run(scenario())


def dead(count):
    url = f"http://127.0.0.1:{unused_port()}/"
    return [(target(key, url), up()) for key in range(count)]


def test_without_network_nothing_goes_down_and_the_prober_knows():
    prober, batch = probed(dead(20), connectivity=Verdict(is_online=False))

    states = [tracker.state for _, tracker in batch.trackers.values()]
    # The first few fail before most have: these are down by their own rule of one strike.
    assert states.count(State.UNKNOWN) == 16
    assert prober.offline_since is not None
    unknown = [result for result in batch.results if result.is_unknown]
    assert {result.detail for result in unknown} == {"The platform itself has no network just now."}


def test_with_network_every_target_is_down_by_itself():
    prober, batch = probed(dead(20), connectivity=Verdict(is_online=True))

    assert {tracker.state for _, tracker in batch.trackers.values()} == {State.DOWN}
    assert prober.offline_since is None


def test_what_answers_while_the_network_seems_gone_is_up():
    async def answer(_request):
        return web.Response()

    async def scenario():
        async with serving(answer) as base:
            client = session(Policy.MONITOR)
            verdict = Verdict(is_online=False)
            prober = Prober(client, limit=100, per_host=100, connectivity=verdict)
            prober.replace([*dead(9), (target(99, base), up())], at_once=True)
            end = time.monotonic() + 30
            while len(prober.pending.trackers) < 10:
                assert time.monotonic() < end
                await prober.run(until=time.monotonic() + 0.1)
            offline = prober.offline_since
            verdict.answer = True
            while prober.offline_since is not None:
                assert time.monotonic() < end
                await prober.run(until=time.monotonic() + 0.1)
            await prober.close()
            return offline, prober.take()

    offline, batch = asyncio.run(scenario())

    assert offline is not None
    assert batch.trackers[99][1].state is State.UP


# A machine that stood still


class Clocks:
    """Two clocks that the test moves."""

    def __init__(self):
        self.now, self.slept = 100.0, 0.0

    def pauses(self):
        """Return what watches them."""
        return Pauses(monotonic=lambda: self.now, asleep=lambda: self.slept)


@pytest.mark.parametrize(("ran", "slept", "gap"), [(4, 0, 0), (60, 0, 60), (1, 60, 61), (1, -9, 0)])
def test_a_pause_is_seen_by_either_clock(ran, slept, gap):
    clocks = Clocks()
    watched = clocks.pauses()
    watched.look()
    began = clocks.now
    clocks.now, clocks.slept = clocks.now + ran, slept

    assert watched.look() == gap
    assert watched.spoiled(began) is bool(gap)
    assert not watched.spoiled(clocks.now + 1)
    assert watched.look() == 0


def test_what_failed_during_a_pause_is_asked_again_and_counts_nothing():
    slept = [0.0]
    calls = []
    watched = Pauses(asleep=lambda: slept[0])

    async def answer(_request):
        calls.append(1)
        if len(calls) == 1:
            # The machine sleeps while the answer is on its way, and the connection dies with it.
            slept[0] = 3600.0
            return web.Response(status=500)
        return web.Response()

    async def scenario():
        async with serving(answer) as base:
            client = session(Policy.MONITOR)
            prober = Prober(client, limit=10, pauses=watched)
            prober.replace([(target(1, base), up())], at_once=True)
            end = time.monotonic() + 30
            while not prober.pending:
                assert time.monotonic() < end
                await prober.run(until=time.monotonic() + 0.1)
            await prober.close()
            return prober.take()

    batch = asyncio.run(scenario())

    assert [result.ok for result in batch.results] == [True]
    assert (batch.flips, len(calls)) == ([], 2)


def test_the_kernel_counts_sleep():
    assert pauses._asleep() > -0.001


# Checks that start late


def test_more_than_one_in_a_hundred_late_by_half_an_interval_is_late():
    lateness = Lateness()
    for number in range(200):
        lateness.note(late=31 if number < 3 else 0, interval=60, now=1)
    lateness.look(62)
    assert (lateness.is_late, lateness.worst_seconds) == (True, 31)

    for number in range(200):
        lateness.note(late=31 if number < 2 else 29, interval=60, now=63)
    lateness.look(123)
    assert not lateness.is_late


# What people are told


def alerts():
    return list(Alert.objects.order_by("pk").values_list("rule", "state"))


def test_an_outage_of_our_own_is_told_once_and_ends(db):
    since = AT + timedelta(hours=1)
    prober_alerts.offline(since=since)
    prober_alerts.offline(since=since)

    assert alerts() == [("prober_offline", "firing")]
    assert Blackout.objects.get().ended_at is None
    assert Event.objects.count() == 1

    prober_alerts.online()
    prober_alerts.online()

    assert alerts() == [("prober_offline", "resolved")]
    assert Blackout.objects.get().ended_at is not None
    assert Event.objects.count() == 2


def test_being_late_is_told_once_and_ends(db):
    prober_alerts.late(worst_seconds=40)
    prober_alerts.late(worst_seconds=50)
    assert alerts() == [("prober_late", "firing")]

    prober_alerts.punctual()
    assert alerts() == [("prober_late", "resolved")]


def test_a_failure_without_network_has_its_own_kind():
    _, batch = probed(dead(20), connectivity=Verdict(is_online=False))

    assert {r.failure for r in batch.results if r.is_unknown} == {Failure.SETUP}
