"""A TCP check: somebody listens at the port."""

import aiohttp

from core.connecting import connect, guard_of
from core.http_timing import Stopwatch
from reliability.engine.probes.base import Finding, Target
from reliability.engine.probes.sockets import timed


async def ask(client: aiohttp.ClientSession, target: Target) -> Finding:
    """Connect and hang up."""

    async def question(watch: Stopwatch) -> Finding:
        connected = await connect(
            guard_of(client),
            target.name,
            target.port or 0,
            family=target.address_family,
            watch=watch,
        )
        connected.close()
        return Finding(watch.phases())

    return await timed(question, seconds=target.rules.timeout_seconds)
