import asyncio
import time
from collections import Counter
from datetime import UTC, datetime

from aiohttp import web

from core.http import Policy, session
from reliability.engine import batch as batch_module
from reliability.engine import prober as prober_module
from reliability.engine.batch import Batch
from reliability.engine.probe import Failure, Target
from reliability.engine.prober import Prober, probe_once
from reliability.engine.schedule import phase
from reliability.engine.strikes import Rules, Standing, State, Tracker
from tests.support.servers import serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def target(key, url, *, interval=60.0, timeout=5, version=1, retry=0.05):
    rules = Rules(interval_seconds=interval, timeout_seconds=timeout)
    return Target(check_id=key, config_version=version, url=url, rules=rules, retry_seconds=retry)


def watch(key, url, **options):
    return target(key, url, **options), Tracker(since=NOW)


def known(key, url, **options):
    return target(key, url, **options), Tracker(
        since=NOW, state=State.UP, standing=Standing.UP, last_at=datetime.now(UTC)
    )


class Site:
    """A server that counts who asks."""

    def __init__(self, *, status=200, seconds=0.0):
        self.status = status
        self.seconds = seconds
        self.hits = Counter()
        self.open = 0
        self.most_open = 0

    async def __call__(self, request):
        """Answer as told."""
        self.hits[request.path] += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.open -= 1
        return web.Response(status=self.status)


def play(site, scenario, **options):
    """Run the scenario with the site's base URL and a prober."""

    async def main():
        async with serving(site) as base:
            prober = Prober(session(Policy.MONITOR), **{"limit": 100, **options})
            try:
                return await scenario(prober, base)
            finally:
                await prober.close()

    return asyncio.run(main())


async def until(prober, condition, seconds=10):
    """Let the prober run until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await prober.run(until=time.monotonic() + 0.02)


def test_a_check_without_any_result_is_probed_at_once():
    site = Site()

    async def scenario(prober, base):
        prober.replace([watch(1, f"{base}/new")], at_once=False)
        await until(prober, lambda: site.hits["/new"])
        await until(prober, lambda: prober.pending.trackers)
        return prober.take()

    batch = play(site, scenario)

    assert [(result.check_id, result.ok) for result in batch.results] == [(1, True)]
    assert batch.trackers[1][1].state is State.UP
    assert [flip.shift.after for flip in batch.flips] == [Standing.UP]


def test_known_checks_wait_for_their_regular_moment_after_a_start():
    site = Site()
    # A key whose moment has just passed is due almost a whole interval later.
    passed = next(
        key for key in range(10_000) if 0.05 < (time.time() / 1000 - phase(key)) % 1 < 0.5
    )

    async def scenario(prober, base):
        prober.replace([known(passed, f"{base}/old", interval=1000)], at_once=False)
        await prober.run(until=time.monotonic() + 0.2)

    play(site, scenario)

    assert not site.hits


def test_every_known_check_is_probed_within_one_interval_after_a_start():
    site = Site()

    async def scenario(prober, base):
        prober.replace(
            [known(key, f"{base}/{key}", interval=1.0) for key in range(50)], at_once=False
        )
        begin = time.monotonic()
        await until(prober, lambda: len(site.hits) == 50)
        return time.monotonic() - begin

    assert play(site, scenario) < 1.5


def test_a_suspect_is_asked_again_after_the_retry_interval():
    site = Site(status=500)

    async def scenario(prober, base):
        prober.replace([watch(1, base, retry=0.1)], at_once=True)
        await until(prober, lambda: len(prober.pending.results) == 2)
        await prober.run(until=time.monotonic() + 0.3)
        return prober.take()

    batch = play(site, scenario)
    first, second = batch.results

    assert 0.1 <= (second.at - first.at).total_seconds() < 1
    (flip,) = batch.flips
    assert (flip.shift.at, flip.shift.after) == (first.at, Standing.DOWN)
    assert flip.result is second


def test_a_host_is_asked_by_four_checks_at_a_time():
    site = Site(seconds=0.05)

    async def scenario(prober, base):
        prober.replace([watch(key, f"{base}/{key}") for key in range(12)], at_once=True)
        await until(prober, lambda: len(site.hits) == 12)

    play(site, scenario)

    assert site.most_open == 4
    assert set(site.hits.values()) == {1}


def test_the_limit_holds_over_all_hosts():
    site = Site(seconds=0.05)

    async def scenario(prober, base):
        prober.replace([watch(key, f"{base}/{key}") for key in range(8)], at_once=True)
        await until(prober, lambda: len(site.hits) == 8)

    play(site, scenario, limit=2)

    assert site.most_open == 2


def test_a_forgotten_check_is_not_probed_and_its_late_result_is_thrown_away():
    site = Site(seconds=0.1)

    async def scenario(prober, base):
        prober.replace([watch(1, f"{base}/1"), watch(2, f"{base}/2")], at_once=True)
        await until(prober, lambda: site.open == 2)
        prober.forget([1])
        await until(prober, lambda: prober.pending.results)
        await prober.run(until=time.monotonic() + 0.2)
        return prober.take(), dict(prober.versions)

    batch, versions = play(site, scenario)

    assert [result.check_id for result in batch.results] == [2]
    assert versions == {2: 1}


def test_a_changed_check_is_probed_at_once_with_its_new_target():
    site = Site()

    async def scenario(prober, base):
        prober.replace([watch(1, f"{base}/old")], at_once=True)
        await until(prober, lambda: site.hits["/old"])
        prober.replace([watch(1, f"{base}/new", version=2)], at_once=True)
        await until(prober, lambda: site.hits["/new"])
        await until(prober, lambda: 1 in prober.pending.trackers)
        return prober.take()

    batch = play(site, scenario)

    assert batch.trackers[1][0] == 2


def test_a_defect_of_ours_is_logged_and_counts_against_nobody(monkeypatch, caplog):
    async def broken(*args, **kwargs):
        raise LookupError

    monkeypatch.setattr(prober_module, "probe", broken)

    async def scenario(prober, base):
        prober.replace([watch(1, base)], at_once=True)
        await until(prober, lambda: caplog.records)
        return prober.take()

    batch = play(Site(), scenario)

    assert not batch
    assert caplog.records[0].getMessage() == "The probe of check 1 failed by itself."


def test_what_could_not_be_stored_comes_again_before_what_is_new():
    site = Site(status=500)

    async def scenario(prober, base):
        prober.replace([watch(1, f"{base}/1"), watch(2, f"{base}/2")], at_once=True)
        await until(prober, lambda: len(prober.pending.trackers) == 2)
        await until(prober, lambda: len(prober.pending.flips) == 2)
        lost = prober.take()
        count = len(lost.results)
        prober.forget([2])
        prober.replace([watch(1, f"{base}/1", version=2)], at_once=True)
        await until(prober, lambda: prober.pending.trackers)
        prober.put_back(lost)
        return count, prober.take()

    count, batch = play(site, scenario)

    assert len(batch.results) > count
    assert {key: version for key, (version, _) in batch.trackers.items()} == {1: 2}
    # The flip of a check that is forgotten goes with its state.
    assert {flip.check_id for flip in batch.flips} == {1}
    assert batch.flips[0].shift.after is Standing.DOWN


def test_a_full_buffer_drops_the_oldest_results_and_no_flip(monkeypatch):
    monkeypatch.setattr(batch_module, "MAX_BUFFERED_RESULTS", 3)
    earlier, later = Batch(), Batch()
    earlier.results.extend([1, 2])
    later.results.extend([3, 4])
    earlier.flips.extend(["a"])
    later.flips.extend(["b"])

    later.prepend(earlier)

    assert list(later.results) == [2, 3, 4]
    assert later.flips == ["a", "b"]


def test_probing_once_keeps_the_order_and_the_limit_per_host():
    site = Site(seconds=0.02)

    async def main():
        async with serving(site) as base, session(Policy.MONITOR) as client:
            targets = [target(key, f"{base}/{key}") for key in (3, 1, 2, 5, 4, 6)]
            targets.append(target(7, "http://169.254.169.254/"))
            return await probe_once(client, targets, limit=100)

    results = asyncio.run(main())

    assert [result.check_id for result in results] == [3, 1, 2, 5, 4, 6, 7]
    assert results[-1].failure is Failure.REFUSED
    assert site.most_open == 4


def test_no_probe_is_left_behind_when_the_prober_closes():
    site = Site(seconds=30)

    async def scenario(prober, base):
        prober.replace([watch(key, f"{base}/{key}") for key in range(8)], at_once=True)
        await until(prober, lambda: site.open == 4)
        await prober.close()
        return len(asyncio.all_tasks()), prober.take()

    _, batch = play(site, scenario)

    assert not batch
    assert len(site.hits) == 4


def test_hanging_targets_do_not_delay_the_others():
    site = Site()

    async def hang(request):
        await asyncio.sleep(30)

    async def scenario(prober, base):
        async with serving(hang) as other:
            stuck = other.replace("127.0.0.1", "localhost")
            prober.replace([watch(key, stuck) for key in range(100, 150)], at_once=True)
            await prober.run(until=time.monotonic() + 0.05)
            prober.replace([watch(1, f"{base}/quick")], at_once=True)
            begin = time.monotonic()
            await until(prober, lambda: site.hits["/quick"])
            lasted = time.monotonic() - begin
            await prober.close()
            return lasted

    assert play(site, scenario) < 1


def test_many_checks_of_one_hanging_host_find_it_down_without_a_gap():
    site = Site(seconds=30)
    outlast = {"interval": 0.6, "timeout": 0.3, "retry": 0.1}

    async def scenario(prober, base):
        prober.replace([known(key, f"{base}/{key}", **outlast) for key in range(60)], at_once=True)
        await until(prober, lambda: len(prober.pending.flips) >= 60)
        return prober.take()

    batch = play(site, scenario)

    assert {flip.check_id for flip in batch.flips} == set(range(60))
    assert {flip.shift.after for flip in batch.flips} == {Standing.DOWN}


def test_a_hanging_host_gets_no_more_than_half_of_all_places():
    site = Site(seconds=30)

    async def scenario(prober, base):
        checks = [known(key, f"{base}/{key}", interval=0.1, timeout=20) for key in range(40)]
        prober.replace(checks, at_once=True)
        await until(prober, lambda: site.open == 10)
        for _ in range(10):
            await prober.run(until=time.monotonic() + 0.02)

    play(site, scenario, limit=20)

    assert site.most_open == 10


def test_the_time_in_the_queue_of_a_host_is_part_of_the_lag():
    site = Site(seconds=0.1)

    async def scenario(prober, base):
        prober.replace([watch(key, f"{base}/{key}") for key in range(12)], at_once=True)
        await until(prober, lambda: len(site.hits) == 12)
        return prober.worst_lag_seconds

    assert play(site, scenario) >= 0.19


def test_a_check_that_moves_while_it_waits_for_its_old_host_is_probed_once():
    site, other = Site(seconds=0.1), Site(status=500, seconds=0.3)

    async def scenario(prober, base):
        async with serving(other) as elsewhere:
            # Another name of the same server is another host.
            moved = elsewhere.replace("127.0.0.1", "localhost")
            prober.replace([watch(key, f"{base}/{key}") for key in range(5)], at_once=True)
            await until(prober, lambda: site.open == 4)
            prober.replace([watch(4, f"{moved}/4", version=2, retry=60)], at_once=True)
            await until(prober, lambda: prober.pending.trackers.keys() == {0, 1, 2, 3, 4})
            await prober.run(until=time.monotonic() + 0.2)
            return prober.take()

    batch = play(site, scenario)

    assert (site.hits["/4"], other.hits["/4"]) == (0, 1)
    _, tracker = batch.trackers[4]
    assert (tracker.state, tracker.streak_fail) == (State.SUSPECT, 1)


def test_a_check_that_is_forgotten_while_it_waits_is_never_probed():
    site = Site(seconds=0.1)

    async def scenario(prober, base):
        prober.replace([watch(key, f"{base}/{key}") for key in range(5)], at_once=True)
        await until(prober, lambda: site.open == 4)
        prober.forget([4])
        await until(prober, lambda: len(prober.pending.trackers) == 4)
        await prober.run(until=time.monotonic() + 0.2)

    play(site, scenario)

    assert set(site.hits) == {"/0", "/1", "/2", "/3"}
