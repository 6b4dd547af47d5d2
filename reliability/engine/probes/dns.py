"""A DNS check: a name has the records that it should have."""

from typing import Any

import aiohttp
import pycares

from core.connecting import guard_of
from core.http_timing import Stopwatch
from core.targets import RefusedTargetError
from reliability.engine.probes.base import Failure, Finding, Target
from reliability.engine.probes.sockets import timed

_DATA = {
    "A": pycares.ARecordData,
    "AAAA": pycares.AAAARecordData,
    "CNAME": pycares.CNAMERecordData,
    "MX": pycares.MXRecordData,
    "NS": pycares.NSRecordData,
    "TXT": pycares.TXTRecordData,
    "SRV": pycares.SRVRecordData,
    "CAA": pycares.CAARecordData,
    "SOA": pycares.SOARecordData,
    "PTR": pycares.PTRRecordData,
}
# The fields of a record in the order in which zone files write them.
_FIELDS = {
    "A": ("addr",),
    "AAAA": ("addr",),
    "CNAME": ("cname",),
    "MX": ("priority", "exchange"),
    "NS": ("nsdname",),
    "TXT": ("data",),
    "SRV": ("priority", "weight", "port", "target"),
    "CAA": ("critical", "tag", "value"),
    "SOA": ("mname", "rname", "serial", "refresh", "retry", "expire", "minimum"),
    "PTR": ("dname",),
}
# What stands there is data; names are the same in any case.
_WITH_CASE = frozenset({"TXT", "CAA"})


async def ask(client: aiohttp.ClientSession, target: Target) -> Finding:
    """Ask for the records, past every memory of ours, and compare them."""

    async def question(watch: Stopwatch) -> Finding:
        guard = guard_of(client)
        if target.dns_server is not None:
            address, port = target.dns_server
            if not guard.allows(address, port=port, host=address):
                raise RefusedTargetError(guard.policy)
        data = await guard.resolver.records(target.name, target.dns_type, server=target.dns_server)
        watch.lap("dns")
        found = {_text(one, target.dns_type) for one in data if _is_asked(one, target.dns_type)}
        if not found:
            detail = f"The name has no {target.dns_type} record."
            return Finding(watch.phases(), Failure.RECORD, detail)
        expected = {normal(line, target.dns_type) for line in target.dns_expected}
        if not expected or expected == {normal(line, target.dns_type) for line in found}:
            return Finding(watch.phases())
        detail = f"The {target.dns_type} records are not those expected."
        return Finding(watch.phases(), Failure.RECORD, detail, "\n".join(sorted(found)))

    return await timed(question, seconds=target.rules.timeout_seconds)


def normal(line: str, kind: str) -> str:
    """Bring a record into the one form that is compared."""
    if kind in _WITH_CASE:
        return " ".join(line.replace('"', "").split())
    return " ".join(part.rstrip(".") or "." for part in line.lower().split())


def _is_asked(data: Any, kind: str) -> bool:  # noqa: ANN401  # a record of any type
    """Tell the records that were asked for from the aliases on the way to them."""
    return isinstance(data, _DATA[kind])


def _text(data: Any, kind: str) -> str:  # noqa: ANN401  # a record of any type
    parts = [getattr(data, name) for name in _FIELDS[kind]]
    return " ".join(
        part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in parts
    )
