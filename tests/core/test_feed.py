"""What one process commits, every process knows within a second."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction

from accounts.models import AccessChange
from accounts.selectors import access
from accounts.services import revocation
from accounts.services.revocation import tell
from core import feed as feeds
from core.actors import SYSTEM
from core.errors import UnavailableError
from core.feed import Feed
from tests.support.followers import Follower, environment

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.applied: list[str] = []
        self.restored = 0

    def restore(self, rows):
        self.known = {value for _, _, value in rows}
        self.restored += 1

    def apply(self, rows):
        for _, _, value in rows:
            self.known.add(value)
            self.applied.append(value)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def feed(recorder):
    one = Feed(name="test", table="accounts_accesschange", follower=recorder)
    yield one
    one.close()


@pytest.fixture
def clock(monkeypatch):
    """Return a monotonic clock that the test moves."""

    class Clock:
        ahead = 0.0
        monotonic = staticmethod(time.monotonic)

    real = time.monotonic

    def monotonic():
        return real() + Clock.ahead

    monkeypatch.setattr(feeds.time, "monotonic", monotonic)
    return Clock


def end(value: str, **changes) -> None:
    tell(kind=AccessChange.Kind.SESSION, value=value, actor=SYSTEM, **changes)


def count_queries(feed, monkeypatch) -> list[str]:
    made: list[str] = []
    for name in ("_reload", "_read_on"):
        real = getattr(feed, name)

        def counted(*args, _name=name, _real=real):
            made.append(_name)
            return _real(*args)

        monkeypatch.setattr(feed, name, counted)
    return made


def test_everything_alive_is_known_at_the_first_question(feed, recorder):
    end("one")
    AccessChange.objects.filter(value="one").update(not_after="2100-01-01T00:00:00Z")
    end("past")
    AccessChange.objects.filter(value="past").update(not_after="2020-01-01T00:00:00Z")
    feed.fresh()
    assert recorder.known == {"one"}


def test_nothing_is_read_within_a_second(feed, monkeypatch):
    made = count_queries(feed, monkeypatch)
    for _ in range(1_000):
        feed.fresh()
    assert made == ["_reload"]


def test_a_change_is_read_after_a_second_and_everything_after_thirty(
    feed, recorder, clock, monkeypatch
):
    made = count_queries(feed, monkeypatch)
    feed.fresh()
    end("one")
    clock.ahead += 1.1
    feed.fresh()
    assert recorder.known == {"one"}
    clock.ahead += 30
    feed.fresh()
    assert made == ["_reload", "_read_on", "_reload"]
    assert recorder.applied == ["one"]


def test_a_wall_clock_that_jumps_changes_nothing(feed, recorder, monkeypatch):
    feed.fresh()
    monkeypatch.setattr(feeds.time, "time", lambda: 0.0, raising=False)
    end("one")
    time.sleep(1.05)
    feed.fresh()
    assert recorder.known == {"one"}


def test_what_was_rolled_back_is_never_known(feed, recorder, clock):
    feed.fresh()
    with transaction.atomic():
        end("never")
        clock.ahead += 31
        # A request that holds a transaction open asks by another connection.
        feed.fresh()
        transaction.set_rollback(True)
    clock.ahead += 31
    feed.fresh()
    assert recorder.known == set()
    assert not access.standing.is_ended(sid="never")


def test_own_changes_hold_at_once_and_survive_a_reload_that_began_before(feed, recorder):
    feed.fresh()
    feed.tell((10**6, "sid", "mine"))
    assert recorder.known == {"mine"}
    feed._loaded_at = feed._synced_at = float("-inf")
    feed.fresh()
    assert recorder.known == {"mine"}


def test_many_threads_cause_one_look(feed, monkeypatch):
    made = count_queries(feed, monkeypatch)
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait()
        feed.fresh()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["_reload"]


@pytest.fixture
def database_away(feed, monkeypatch):
    """Return a function that takes the database away, and one that brings it back."""
    real = feed._connected

    def away():
        raise OperationalError

    return (
        lambda: monkeypatch.setattr(feed, "_connected", away),
        lambda: monkeypatch.setattr(feed, "_connected", real),
    )


def test_after_five_seconds_without_a_look_it_refuses_and_recovers(
    feed, recorder, clock, database_away
):
    leave, come_back = database_away
    feed.fresh()
    leave()
    clock.ahead += 4
    feed.fresh()
    clock.ahead += 2
    with pytest.raises(UnavailableError) as caught:
        feed.fresh(reading=True)
    assert caught.value.status == 503
    come_back()
    end("meanwhile")
    clock.ahead += 1
    feed.fresh()
    assert recorder.known == {"meanwhile"}


def test_reads_may_go_on_with_what_is_known(feed, clock, database_away, settings):
    settings.OPS_AUTH_STALE_READS = True
    leave, _ = database_away
    feed.fresh()
    leave()
    clock.ahead += 60
    feed.fresh(reading=True)
    with pytest.raises(UnavailableError):
        feed.fresh()


def test_a_process_that_never_knew_anything_lets_nobody_pass(feed, database_away, settings):
    settings.OPS_AUTH_STALE_READS = True
    database_away[0]()
    with pytest.raises(UnavailableError):
        feed.fresh(reading=True)


@pytest.mark.skipif(
    "sqlite" not in django_settings.DATABASES["default"]["ENGINE"], reason="Files alone tell it."
)
def test_a_file_that_nobody_wrote_is_not_asked(feed, clock, monkeypatch):
    feed.fresh()
    clock.ahead += 1.1
    feed.fresh()
    clock.ahead += 1.1
    asked = []
    real = feed._connection.cursor
    monkeypatch.setattr(feed._connection, "cursor", lambda: asked.append(1) or real())
    feed.fresh()
    assert asked == []
    end("one")
    clock.ahead += 1.1
    feed.fresh()
    assert asked == [1]


@pytest.mark.postgres
def test_a_lower_number_that_commits_later_is_not_missed(feed, recorder, clock):
    feed.fresh()
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            end("slow")
            begun.set()
            go_on.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait(10)
    end("quick")
    clock.ahead += 1.1
    feed.fresh()
    assert recorder.known == {"quick"}
    go_on.set()
    thread.join()
    clock.ahead += 1.1
    feed.fresh()
    assert recorder.known == {"quick", "slow"}
    clock.ahead += 1.1
    feed.fresh()
    assert recorder.applied == ["quick", "slow"]


# Real processes


@pytest.fixture
def start():
    started: list[Follower] = []

    def begin(**more: str) -> Follower:
        started.append(Follower(environment(**more)))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def spread(teller: Follower, others: list[Follower]) -> float:
    """Return the longest time from a commit in one process to its being known in another."""
    longest = 0.0
    for _ in range(5):
        sid = uuid4().hex
        for other in others:
            other.say("until", sid)
        told = float(teller.ask("end", sid))
        longest = max(longest, *(float(other.answer()) - told for other in others))
    return longest


def test_every_process_knows_within_a_second(start):
    followers = [start() for _ in range(3)]
    assert spread(followers[0], followers[1:]) < 1.0


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="There is no Redis here.")
def test_redis_makes_it_quick(start):
    followers = [start() for _ in range(3)]
    for one in followers:
        one.ask("knows", "nothing")
    time.sleep(0.5)
    assert spread(followers[0], followers[1:]) < 0.3


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="There is no Redis here.")
def test_without_redis_it_takes_no_more_than_a_second(start):
    nowhere = "redis://127.0.0.1:1/0"
    followers = [start(REDIS_URL=nowhere) for _ in range(3)]
    assert spread(followers[0], followers[1:]) < 1.0


@pytest.mark.fault
def test_killed_between_commit_and_message_it_is_known_all_the_same(start):
    teller, other = start(), start()
    other.ask("knows", "nothing")
    sid = uuid4().hex
    other.say("until", sid)
    committed = float(teller.ask("end", sid, "die"))
    assert teller.process.wait(timeout=10) == -9
    assert float(other.answer()) - committed < 1.0
    assert AccessChange.objects.filter(value=sid).count() == 1
    # A process that starts afterwards knows it before its first answer.
    assert start().ask("knows", sid) == sid


@pytest.mark.fault
def test_a_forked_child_follows_by_itself(start):
    parent, teller = start(), start()
    sid = uuid4().hex
    parent.say("fork", sid)
    assert parent.answer() == "forked"
    told = float(teller.ask("end", sid))
    by_child, by_parent = map(float, parent.answer().split())
    assert by_child - told < 1.0
    # The parent is asked once the child has answered, and has its own second.
    assert by_parent - told < 2.0


def test_settings_of_the_platform_follow_with_a_thread():
    from opsplatform.settings.security import FEED_POLLS

    assert FEED_POLLS
    assert not django_settings.FEED_POLLS


def test_old_rows_are_cleared_away():
    end("old")
    AccessChange.objects.update(not_after="2020-01-01T00:00:00Z")
    end("new")
    revocation.clear_old()
    assert [*AccessChange.objects.values_list("value", flat=True)] == ["new"]
