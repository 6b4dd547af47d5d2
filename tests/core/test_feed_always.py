"""The feed goes on whatever fails, and misses no transaction, however long it was open."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
from django.db import connection, transaction

from accounts.models import AccessChange
from accounts.services.revocation import tell
from core import feed as feeds
from core.actors import SYSTEM
from core.feed import Feed

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def restore(self, rows):
        self.known = {value for _, _, value in rows}

    def apply(self, rows):
        self.known |= {value for _, _, value in rows}


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def feed(recorder):
    made = Feed(name="test", table="accounts_accesschange", follower=recorder)
    yield made
    made.close()


def end(value: str) -> None:
    tell(kind=AccessChange.Kind.SESSION, value=value, actor=SYSTEM)


def known_soon(recorder, value: str) -> bool:
    limit = time.monotonic() + 5
    while value not in recorder.known and time.monotonic() < limit:
        time.sleep(0.05)
    return value in recorder.known


def test_it_follows_before_anybody_asks(feed, recorder, settings):
    settings.FEED_POLLS = True
    feed.start()
    end("one")
    assert known_soon(recorder, "one")


def test_a_wait_that_fails_ends_no_thread(feed, recorder, settings, monkeypatch):
    settings.FEED_POLLS = True
    waits: list[float] = []

    def fail() -> bool:
        waits.append(time.monotonic())
        message = "the client speaks nonsense"
        raise ValueError(message)

    monkeypatch.setattr(feed._stream, "wait", fail)
    feed.start()
    end("one")
    assert known_soon(recorder, "one")
    end("two")
    assert known_soon(recorder, "two")
    # Nor does it run in circles.
    assert min(later - one for one, later in pairwise(waits)) > 0.4


def test_a_transaction_that_was_open_for_long_is_seen_at_the_next_look(feed, recorder, monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    monkeypatch.setattr(feeds, "OVERLAP_SECONDS", 0.1)
    written, go_on = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            end("slow")
            written.set()
            go_on.wait(20)
        connection.close()

    thread = threading.Thread(target=write_slowly)
    thread.start()
    assert written.wait(5)
    # A later number is committed first, and seen; the one before it is long past the overlap.
    end("quick")
    for _ in range(3):
        time.sleep(0.3)
        assert feed._sync()
    assert recorder.known == {"quick"}
    go_on.set()
    thread.join()
    assert feed._sync()
    assert recorder.known == {"quick", "slow"}
