"""One question to one target, of whichever kind."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import aiohttp

from core.http import Phases
from reliability.engine.probes import dns, http, icmp, tcp, tls
from reliability.engine.probes.base import (
    Failure,
    Finding,
    Result,
    StatusRanges,
    Target,
    result_of,
)

__all__ = ["KINDS", "Failure", "Result", "StatusRanges", "Target", "parse_accept", "probe"]

KINDS: Mapping[str, Callable[[aiohttp.ClientSession, Target], Awaitable[Finding]]] = {
    "http": http.ask,
    "tcp": tcp.ask,
    "dns": dns.ask,
    "tls": tls.ask,
    "icmp": icmp.ask,
}
"""What the prober can ask; a heartbeat is asked by nobody."""

UNJUDGED = "The platform cannot judge what came back; the log of the prober tells why."

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def parse_accept(text: str) -> StatusRanges:
    """Read accepted status codes such as `200-399` or `200, 204, 301-302`."""
    ranges = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            message = f"{part.strip()!r} is no status code and no range such as 200-399."
            raise ValueError(message)
        ranges.append((first, last))
    return tuple(ranges)


async def probe(client: aiohttp.ClientSession, target: Target, *, at: datetime) -> Result:
    """Ask the target once; whatever happens to the question is a result, not an error."""
    try:
        found = await KINDS[target.kind](client, target)
    except Exception:
        # The target chose what came back. Could it hide behind a defect of ours, its outage would
        # be seen by nobody.
        logger.exception("What check %s was answered cannot be judged.", target.check_id)
        found = Finding(Phases(), Failure.PROTOCOL, UNJUDGED)
    return result_of(target, at, found)
