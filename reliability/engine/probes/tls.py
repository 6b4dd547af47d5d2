"""A TLS check: the certificate is good, and for long enough."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp

from core.connecting import connect, guard_of, shake_hands
from core.http import Certificate, text_of
from core.http_timing import Stopwatch
from reliability.engine.probes.base import TLS_PORT, Failure, Finding, Target
from reliability.engine.probes.sockets import timed

_DAY = timedelta(days=1)


async def ask(client: aiohttp.ClientSession, target: Target) -> Finding:
    """Shake hands, and judge the certificate; one that is no good is read all the same."""
    guard, host = guard_of(client), target.name

    async def shown(watch: Stopwatch, *, verify: bool) -> Certificate | None:
        port, family = target.port or TLS_PORT, target.address_family
        connected = await connect(guard, host, port, family=family, watch=watch)
        return await shake_hands(connected, host, verify=verify, watch=watch)

    async def question(watch: Stopwatch) -> Finding:
        try:
            certificate = await shown(watch, verify=target.verify_tls)
        except ssl.SSLCertVerificationError as error:
            refused = Finding(watch.phases(), Failure.TLS, text_of(error))
            certificate = await shown(Stopwatch(), verify=False)
            return replace(refused, certificate=certificate)
        found = Finding(watch.phases(), certificate=certificate)
        detail = ends_soon(certificate, min_days=target.tls_min_days, now=datetime.now(UTC))
        return replace(found, failure=Failure.EXPIRY, detail=detail) if detail else found

    return await timed(question, seconds=target.rules.timeout_seconds)


def ends_soon(certificate: Certificate | None, *, min_days: int, now: datetime) -> str:
    """Say that a certificate ends within these days, or nothing; 0 days means never."""
    if certificate is None or not min_days:
        return ""
    left = certificate.not_after - now
    if left >= min_days * _DAY:
        return ""
    day = f"{certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if left < timedelta():
        return f"The certificate ended on {day}."
    days = left // _DAY
    count = "less than a day" if not days else "1 day" if days == 1 else f"{days} days"
    return f"The certificate ends in {count}, on {day}."
