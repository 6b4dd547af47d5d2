"""The sockets of this process: who is connected, who hears what, and who is too slow.

Everything happens in one event loop, so there is nothing to lock. A broadcast writes the same bytes
to every connection; one that does not read gets a queue, and is closed when that is full.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

from notifications.engine import frames
from notifications.engine.audiences import MESSAGE, is_withheld
from notifications.engine.sockets import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from notifications.engine.sockets import Outlet

PER_OWNER: Final = 10
WAITING_SHARE: Final = 0.05
WAITING_SHARE_OF_ADDRESS: Final = 0.2
MISSED_PONGS: Final = 2
_SAMPLES: Final = 500


class Hub:
    """Connections by what they follow; `clock` is monotonic."""

    def __init__(
        self,
        *,
        most: int,
        heartbeat_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.heartbeat_seconds = heartbeat_seconds
        self.sockets: OrderedDict[str, Socket] = OrderedDict()
        self.stats: Counter[str] = Counter()
        self.closed: Counter[int] = Counter()
        self._clock = clock
        self._followers: dict[str, dict[str, Socket]] = {}
        self._watchers: dict[str, dict[str, Socket]] = {}
        self._owners: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._bearers: dict[Any, dict[str, Socket]] = {}
        self._delays: deque[float] = deque(maxlen=_SAMPLES)

    # Admission

    @property
    def waiting(self) -> int:
        """Return how many are connected that have not said yet who they are."""
        return self._waiting.total()

    def begin_waiting(self, address: str) -> bool:
        """Let one more be connected without a name; False if too many are, or of this address."""
        most = max(1, int(self.most * WAITING_SHARE))
        most_of_one = max(1, int(most * WAITING_SHARE_OF_ADDRESS))
        if self.waiting >= most or self._waiting[address] >= most_of_one:
            return False
        self._waiting[address] += 1
        return True

    def end_waiting(self, address: str) -> None:
        """Note that one of them waits no longer."""
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]

    def has_room(self) -> bool:
        """Tell whether this process may hold one more connection."""
        return len(self.sockets) < self.most

    def owner_has_room(self, owner: str) -> bool:
        """Tell whether one more connection of the same person or key may be open."""
        return self._owners[owner] < PER_OWNER

    def add(
        self, number: str, outlet: Outlet, *, owner: str, role: str, bearer: object = None
    ) -> Socket:
        """Take a connection in; it hears nothing until it follows something."""
        now = self._clock()
        socket = Socket(
            number=number,
            owner=owner,
            role=role,
            bearer=bearer,
            outlet=outlet,
            opened_at=now,
            ping_at=now + self.heartbeat_seconds,
        )
        outlet.drained = socket.drain
        self.sockets[number] = socket
        self._owners[owner] += 1
        self._bearers.setdefault(bearer, {})[number] = socket
        self.stats["opened"] += 1
        return socket

    def remove(self, socket: Socket, code: int) -> None:
        """Forget a connection; the first code that ends it is the one that counts."""
        if self.sockets.pop(socket.number, None) is None:
            return
        socket.code = code
        self.unfollow(socket, list(socket.cursors))
        self.watch(socket, ())
        self._owners[socket.owner] -= 1
        if not self._owners[socket.owner]:
            del self._owners[socket.owner]
        del self._bearers[socket.bearer][socket.number]
        if not self._bearers[socket.bearer]:
            del self._bearers[socket.bearer]
        socket.clear()
        self.closed[code] += 1

    def close(self, socket: Socket, code: int, reason: str = "", *, retry_ms: int = -1) -> None:
        """End a connection from our side, with a last frame if it is to come back later."""
        if socket.number not in self.sockets:
            return
        can_hear = socket.queue is None
        self.remove(socket, code)
        if retry_ms >= 0 and can_hear:
            socket.outlet.write(frames.encode("bye", code=code, retry_ms=retry_ms))
        socket.outlet.end(code, reason)

    @property
    def bearers(self) -> list[Any]:
        """Return who is connected, each once."""
        return list(self._bearers)

    def of_bearer(self, bearer: object) -> list[Socket]:
        """Return the connections of one bearer."""
        return [*self._bearers.get(bearer, {}).values()]

    # Who hears what

    def follow(self, socket: Socket, audience: str, cursor: int) -> None:
        """Let a connection hear the entries of an audience that come after the cursor."""
        socket.cursors[audience] = cursor
        self._followers.setdefault(audience, {})[socket.number] = socket

    def unfollow(self, socket: Socket, audiences: Iterable[str]) -> None:
        """Let it hear these audiences no longer."""
        for audience in audiences:
            socket.cursors.pop(audience, None)
            followers = self._followers.get(audience)
            if followers is not None:
                followers.pop(socket.number, None)
                if not followers:
                    del self._followers[audience]

    def watch(self, socket: Socket, topics: Iterable[str]) -> None:
        """Let a connection hear these metrics topics, and no others."""
        wanted = set(topics)
        for topic in [topic for topic, some in self._watchers.items() if socket.number in some]:
            if topic not in wanted:
                del self._watchers[topic][socket.number]
                if not self._watchers[topic]:
                    del self._watchers[topic]
        for topic in wanted:
            self._watchers.setdefault(topic, {})[socket.number] = socket

    @property
    def followed(self) -> list[str]:
        """Return the audiences that somebody here follows."""
        return list(self._followers)

    def is_followed(self, audience: str) -> bool:
        """Tell whether anybody here follows the audience."""
        return audience in self._followers

    def is_watched(self, topic: str) -> bool:
        """Tell whether anybody here watches the metrics topic."""
        return topic in self._watchers

    # Sending

    def send(self, socket: Socket, frame: bytes, metrics: str = "") -> bool:
        """Send one frame to one connection; False when it was too slow and is closed."""
        fits, replaced = socket.offer(frame, metrics)
        if not fits:
            if metrics:
                # A value that is out of date by now; the next one takes its place.
                self.stats["metrics_replaced"] += 1
                return True
            self.drop_slow(socket)
            return False
        self.stats["frames"] += 1
        self.stats["metrics_replaced"] += replaced
        return True

    def send_entry(self, socket: Socket, frame: bytes, audience: str) -> bool:
        """Send an entry, as far as the connection may read it at this moment."""
        if is_withheld(audience, MESSAGE, socket.granted):
            frame = frames.shown(frame, socket.granted)
        return self.send(socket, frame)

    def drop_slow(self, socket: Socket) -> None:
        """End a connection that does not read; its client comes back and catches up."""
        self.stats["slow_closes"] += 1
        self.close(socket, frames.TOO_SLOW, "too slow")

    def broadcast(self, audience: str, seq: int, frame: bytes, *, delay: float | None) -> None:
        """Send an entry to the followers who have not had it; `delay` is the time since commit."""
        for socket in [*self._followers.get(audience, {}).values()]:
            if socket.cursors.get(audience, seq) < seq:
                socket.cursors[audience] = seq
                self.send_entry(socket, frame, audience)
        if delay is not None:
            self._delays.append(max(delay, 0.0))

    def tell(self, audience: str, frame: bytes, cursor: int) -> None:
        """Send a frame that is no entry to all followers, who go on from the cursor."""
        for socket in [*self._followers.get(audience, {}).values()]:
            socket.cursors[audience] = cursor
            self.send(socket, frame)

    def metrics(self, topic: str, frame: bytes) -> None:
        """Send a new value to whoever watches the topic."""
        for socket in [*self._watchers.get(topic, {}).values()]:
            self.send(socket, frame, topic)

    # Heartbeat

    def beat(self) -> None:
        """Ping whoever is due and close who missed two; called about once a second.

        The next to be pinged stands first, so that the idle ones are not even looked at.
        """
        now = self._clock()
        ping = b""
        while self.sockets:
            number, socket = next(iter(self.sockets.items()))
            if socket.ping_at > now:
                return
            if socket.missed >= MISSED_PONGS:
                self.close(socket, frames.HEARTBEAT_MISSED, "no pong")
                continue
            socket.missed += 1
            socket.ping_at = now + self.heartbeat_seconds
            self.sockets.move_to_end(number)
            ping = ping or frames.encode("ping", t=round(time.time() * 1000))
            self.send(socket, ping)

    # Statistics

    def statistics(self) -> dict[str, Any]:
        """Return what the page of connections shows of this process."""
        # Another thread asks: both copies are made in one step of the interpreter.
        sockets, delays = [*self.sockets.values()], sorted([*self._delays])
        return {
            "open": len(sockets),
            "roles": dict(Counter(socket.role for socket in sockets)),
            "opened": self.stats["opened"],
            "refused": self.stats["refused"],
            "closed": {
                frames.name_of(code): count for code, count in sorted([*self.closed.items()])
            },
            "frames": self.stats["frames"],
            "metrics_replaced": self.stats["metrics_replaced"],
            "slow_closes": self.stats["slow_closes"],
            "replays": self.stats["replays"],
            "queue_depth": sum(socket.depth for socket in sockets),
            "commit_to_send_ms": {
                "p50": _quantile(delays, 0.5),
                "p95": _quantile(delays, 0.95),
            },
        }


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 1)
