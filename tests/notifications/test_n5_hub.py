"""The sockets of one process: broadcasts, slow readers, limits, heartbeats."""

from __future__ import annotations

import json

import pytest

from notifications.engine import frames
from notifications.engine.hub import Hub
from notifications.engine.sockets import MOST_BYTES, MOST_FRAMES
from tests.support.sockets import Tape


class Clock:
    """A clock that tests turn."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hub(clock):
    return Hub(most=100, heartbeat_seconds=30, clock=clock)


def join(hub, number="a", audience="topic:alerts", **settings):
    tape = Tape()
    socket = hub.add(number, tape, owner=settings.pop("owner", number), role="operator")
    if audience:
        hub.follow(socket, audience, 0)
    return socket, tape


def kinds(tape):
    return [json.loads(frames.text_of(frame))["type"] for frame in tape.frames]


def test_every_follower_gets_the_same_bytes_once(hub):
    _, first = join(hub, "a")
    _, second = join(hub, "b")
    _, stranger = join(hub, "c", audience="topic:services")

    for _ in range(2):
        hub.broadcast("topic:alerts", 1, b"frame", delay=0.01)

    assert first.frames == second.frames == [b"frame"]
    assert first.frames[0] is second.frames[0]
    assert stranger.frames == []


def test_a_follower_that_is_ahead_waits_for_what_is_new(hub):
    socket, tape = join(hub)
    hub.follow(socket, "topic:alerts", 5)

    for seq in range(4, 8):
        hub.broadcast("topic:alerts", seq, b"%d" % seq, delay=None)

    assert tape.frames == [b"6", b"7"]


def test_who_does_not_read_is_closed_and_harms_nobody(hub):
    slow, stopped = join(hub, "slow")
    _, quick = join(hub, "quick")
    stopped.stopped = True

    for seq in range(1, MOST_FRAMES + 3):
        hub.broadcast("topic:alerts", seq, b"x", delay=None)

    # One is on its way, as many wait as may, and the next one was too much.
    assert stopped.frames == [b"x"]
    assert stopped.ended == (4409, "too slow")
    assert slow.code == 4409
    assert len(quick.frames) == MOST_FRAMES + 2
    assert hub.statistics()["slow_closes"] == 1
    assert hub.statistics()["closed"] == {"4409": 1}
    assert list(hub.sockets) == ["quick"]


def test_a_megabyte_may_wait(hub):
    socket, tape = join(hub)
    tape.stopped = True
    half = b"x" * (MOST_BYTES // 2)

    sent = [hub.send(socket, half) for _ in range(4)]

    assert sent == [True, True, True, False]
    assert tape.ended == (4409, "too slow")


def test_what_waited_follows_in_order(hub):
    socket, tape = join(hub)
    tape.stopped = True
    for number in range(5):
        hub.send(socket, b"%d" % number)
    assert hub.statistics()["queue_depth"] == 4

    tape.go_on()
    hub.send(socket, b"5")

    assert tape.frames == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert (socket.queued_bytes, hub.statistics()["queue_depth"]) == (0, 0)


def test_a_client_that_stops_again_keeps_the_rest(hub):
    socket, tape = join(hub)
    tape.stopped = True
    for number in range(4):
        hub.send(socket, b"%d" % number)

    tape.drained()
    assert tape.frames == [b"0", b"1"]
    tape.go_on()
    assert tape.frames == [b"0", b"1", b"2", b"3"]


def test_the_newest_value_takes_the_place_of_the_one_that_waits(hub):
    socket, tape = join(hub, audience="")
    hub.watch(socket, ["overview"])
    tape.stopped = True

    hub.metrics("overview", b"first")
    hub.send(socket, b"event")
    for value in (b"second", b"third is longer"):
        hub.metrics("overview", value)
        hub.send(socket, b"after " + value)

    assert socket.queued_bytes == sum(
        map(len, [b"event", b"third is longer", b"after second", b"after third is longer"])
    )
    tape.go_on()
    assert tape.frames == [
        b"first",
        b"event",
        b"third is longer",
        b"after second",
        b"after third is longer",
    ]
    assert hub.statistics()["metrics_replaced"] == 1


def test_a_value_without_room_is_dropped_and_closes_nobody(hub):
    socket, tape = join(hub)
    tape.stopped = True
    for _ in range(MOST_FRAMES + 1):
        hub.send(socket, b"x")

    assert hub.send(socket, b"value", "overview")
    assert tape.ended is None
    assert hub.statistics()["metrics_replaced"] == 1


def test_watching_ends_with_other_topics_and_with_the_connection(hub):
    socket, tape = join(hub)
    hub.watch(socket, ["overview", "other"])
    hub.watch(socket, ["other"])
    assert (hub.is_watched("overview"), hub.is_watched("other")) == (False, True)

    hub.remove(socket, 1001)

    assert not hub.is_watched("other")
    assert not hub.is_followed("topic:alerts")
    assert tape.ended is None


def test_two_missing_pongs_end_a_connection(hub, clock):
    socket, silent = join(hub, "silent")
    answering, alive = join(hub, "alive")

    for _ in range(3):
        hub.beat()
        clock.now += 30
        hub.beat()
        answering.missed = 0

    assert kinds(silent) == ["ping", "ping"]
    assert silent.ended == (4408, "no pong")
    assert kinds(alive) == ["ping", "ping", "ping"]
    assert alive.ended is None
    assert socket.code == 4408


def test_nobody_is_pinged_before_it_is_time(hub, clock):
    _, tape = join(hub)
    clock.now += 29.9
    hub.beat()
    assert tape.frames == []


def test_ten_connections_of_one_person(hub):
    sockets = [join(hub, str(number), owner="ada")[0] for number in range(10)]

    assert not hub.owner_has_room("ada")
    assert hub.owner_has_room("bob")
    hub.remove(sockets[0], 1001)
    assert hub.owner_has_room("ada")


def test_one_in_twenty_may_be_unknown(hub):
    assert [hub.begin_waiting(str(number)) for number in range(6)] == [True] * 5 + [False]
    hub.end_waiting("0")
    assert hub.begin_waiting("6")


def test_room_is_what_is_left(clock):
    hub = Hub(most=1, heartbeat_seconds=30, clock=clock)
    assert hub.has_room()
    join(hub)
    assert not hub.has_room()


def test_goodbye_says_when_to_come_back(hub):
    socket, tape = join(hub)

    hub.close(socket, 1012, "restart", retry_ms=123)
    hub.close(socket, 4401, "again")

    assert json.loads(frames.text_of(tape.frames[0])) == {
        "type": "bye",
        "code": 1012,
        "retry_ms": 123,
    }
    assert tape.ended == (1012, "restart")
    assert hub.statistics()["closed"] == {"1012": 1}


def test_goodbye_does_not_overtake_what_waits(hub):
    socket, tape = join(hub)
    tape.stopped = True
    hub.send(socket, b"x")

    hub.close(socket, 1012, "restart", retry_ms=123)

    assert tape.frames == [b"x"]
    assert tape.ended == (1012, "restart")


def test_statistics_tell_what_happened(hub):
    socket, _ = join(hub, "a")
    join(hub, "b")
    for seq, delay in enumerate([0.001, 0.002, 0.003, 0.1], 1):
        hub.broadcast("topic:alerts", seq, b"x", delay=delay)
    hub.remove(socket, 1001)

    assert hub.statistics() == {
        "open": 1,
        "roles": {"operator": 1},
        "opened": 2,
        "refused": 0,
        "closed": {"1001": 1},
        "frames": 8,
        "metrics_replaced": 0,
        "slow_closes": 0,
        "replays": 0,
        "queue_depth": 0,
        "commit_to_send_ms": {"p50": 3.0, "p95": 100.0},
    }


def test_without_entries_no_time_is_told(hub):
    assert hub.statistics()["commit_to_send_ms"] == {"p50": None, "p95": None}


def test_one_address_holds_a_fifth_of_the_places_without_a_name():
    hub = Hub(most=1_000, heartbeat_seconds=30)

    assert [hub.begin_waiting("a") for _ in range(11)] == [True] * 10 + [False]
    assert [hub.begin_waiting(str(n)) for n in range(41)] == [True] * 40 + [False]
    hub.end_waiting("a")
    assert (hub.waiting, hub.begin_waiting("a"), hub.waiting) == (49, True, 50)
    assert Hub(most=1, heartbeat_seconds=30).begin_waiting("a")
