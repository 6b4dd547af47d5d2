"""Tell the platform's own outage from that of its targets."""

import asyncio
import errno
import logging
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import aiohttp

from core.connecting import connect, guard_of
from core.http_timing import Stopwatch
from core.resolver import LookUpError
from core.targets import RefusedTargetError

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 30.0
LEAST_FAILING = 5
MOST_SHARE = 0.5
TRUST_ONLINE_SECONDS = 15.0
TRUST_OFFLINE_SECONDS = 5.0
ANCHOR_SECONDS = 3.0
OFFLINE = "The platform itself has no network just now."


class Mass:
    """Whether most of what was asked lately failed; the newest result of each check counts."""

    def __init__(self) -> None:
        self._lately: OrderedDict[int, tuple[float, bool]] = OrderedDict()
        self._failing = 0

    def note(self, key: int, *, ok: bool, now: float) -> None:
        """Take a result into account."""
        self._drop(key)
        self._lately[key] = (now, ok)
        self._failing += not ok

    def is_suspicious(self, now: float) -> bool:
        """Tell whether so much failed lately that the cause may be here."""
        while self._lately:
            key, (at, _) = next(iter(self._lately.items()))
            if now - at <= WINDOW_SECONDS:
                break
            self._drop(key)
        return self._failing >= LEAST_FAILING and self._failing > MOST_SHARE * len(self._lately)

    def _drop(self, key: int) -> None:
        found = self._lately.pop(key, None)
        if found is not None and not found[1]:
            self._failing -= 1


class Connectivity:
    """Asks a few anchors whether the network is there; the answer holds for some seconds.

    An anchor that refuses the connection is reached all the same. Without anchors the machine's
    name servers are asked for the root; they count once they have answered, for on a network
    without names their silence says nothing.
    """

    def __init__(
        self,
        client: aiohttp.ClientSession,
        anchors: Sequence[tuple[str, int]] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._anchors = anchors
        self._clock = clock
        self._is_proven = bool(anchors)
        self._verdict = True
        self._until = float("-inf")
        self._asking: asyncio.Task[bool] | None = None

    async def is_online(self) -> bool:
        """Return whether the network is there; many who ask at once cause one question."""
        if self._clock() < self._until:
            return self._verdict
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Abandon the question under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> bool:
        try:
            reached = await self._reaches()
            self._is_proven = self._is_proven or reached
            self._verdict = reached or not self._is_proven
            seconds = TRUST_ONLINE_SECONDS if self._verdict else TRUST_OFFLINE_SECONDS
            self._until = self._clock() + seconds
            return self._verdict
        finally:
            self._asking = None

    async def _reaches(self) -> bool:
        questions = [self._reaches_anchor(*anchor) for anchor in self._anchors]
        answers = await asyncio.gather(*(questions or [self._reaches_root()]))
        return any(answers)

    async def _reaches_anchor(self, host: str, port: int) -> bool:
        try:
            async with asyncio.timeout(ANCHOR_SECONDS):
                connected = await connect(
                    guard_of(self._client), host, port, family=socket.AF_UNSPEC, watch=Stopwatch()
                )
        except RefusedTargetError:
            logger.warning("The anchor %s:%s is refused by the outgoing policy.", host, port)
            return False
        except (OSError, RuntimeError) as error:
            # A time out is an OSError too.
            return isinstance(error, OSError) and error.errno == errno.ECONNREFUSED
        connected.close()
        return True

    async def _reaches_root(self) -> bool:
        try:
            async with asyncio.timeout(ANCHOR_SECONDS):
                return bool(await guard_of(self._client).resolver.records(".", "NS", server=None))
        except (LookUpError, TimeoutError):
            return False
