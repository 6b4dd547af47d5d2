"""What ten thousand HTTPS targets a minute cost, with Django, the database and the flush.

Each line is a process of its own, as the daemon runs the loop: configuration, probes, results and
states each second. Packing is another loop. The database is SQLite unless DATABASE_URL is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import multiprocessing
import os
import resource
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.prober import _HOSTS, _Answers
from benchmarks.served.receivers import answering
from benchmarks.table import Row
from reliability.engine.lateness import Lateness

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTERVAL = 60
_TIMEOUT = 10
_LIMIT_SHARE = 35.0
_LIMIT_MEMORY = 150.0


@dataclass(frozen=True, slots=True)
class _Found:
    """What one run took."""

    cpu_percent: float
    memory_mb: float
    lag_p99_ms: float
    asked: int
    stored: int


def run() -> Iterator[Row]:
    """Measure growth, punctuality, a restart, and targets that never answer."""
    with tempfile.TemporaryDirectory(prefix="ops-bench-tls-") as folder:
        pem = _certificate(Path(folder))
        with answering(_Answers, _HOSTS, pem=pem) as port:
            for count, seconds in ((1_000, 20), (10_000, _INTERVAL + 5), (50_000, 20)):
                found = _measured(count, seconds, f"https://{{host}}:{port}/", pem)
                label = f"{count:,} HTTPS targets a minute"
                is_goal = count == 10_000
                against = "limit 35 % of a core" if is_goal else "limit of 10,000, in proportion"
                share = _LIMIT_SHARE * max(1, count / 10_000)
                yield Row(f"{label}, CPU", found.cpu_percent, "%", against, share)
                if is_goal:
                    against = "limit 150 MB with Django"
                    yield Row(f"{label}, memory", found.memory_mb, "MB", against, _LIMIT_MEMORY)
                    yield Row(f"{label}, start late, p99", found.lag_p99_ms, "ms", "limit", 250)
                    missed = count - found.asked
                    what = f"{label}, not asked within an interval of a restart"
                    yield Row(what, missed, "", "limit 1", 1)
        with answering(_Silence, _HOSTS) as port:
            found = _measured(10_000, 40, f"http://{{host}}:{port}/", pem)
            yield Row("10,000 hanging, start late, p99", found.lag_p99_ms, "ms", "limit", 500)
            yield Row("10,000 hanging, memory", found.memory_mb, "MB", "limit", _LIMIT_MEMORY * 2)


class _Silence(asyncio.Protocol):
    """Takes every connection and says nothing."""


@dataclass(slots=True)
class _Lags(Lateness):
    """Keeps how late each start was."""

    all: list[float] = field(default_factory=list)

    def note(self, *, late: float, interval: float, now: float) -> None:
        """Keep one."""
        self.all.append(late)
        Lateness.note(self, late=late, interval=interval, now=now)


def _measured(count: int, seconds: float, url: str, pem: str) -> _Found:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=[count, seconds, url, pem, theirs])
    process.start()
    try:
        return ours.recv()  # type: ignore[no-any-return]  # what the child sends
    finally:
        process.join()


def _child(count: int, seconds: float, url: str, pem: str, told: object) -> None:
    os.environ["SSL_CERT_FILE"] = pem
    os.environ["LOG_LEVEL"] = "ERROR"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="ops-bench-prober-") as folder:
        os.environ["OPS_DATA_DIR"] = folder
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        _fill(count, url)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as event_loop:
            found = event_loop.run(_beat(seconds))
        from core.loops import close_pool

        close_pool()
    told.send(found)  # type: ignore[attr-defined]  # a connection


def _fill(count: int, url: str) -> None:
    from reliability.models import Check, CheckState, Service, StateSegment

    now = dt.datetime.now(dt.UTC)
    service = Service.objects.create(name="Benchmark")
    checks = Check.objects.bulk_create(
        [
            Check(
                service=service,
                url=url.format(host=_HOSTS[number % len(_HOSTS)]),
                interval_seconds=_INTERVAL,
                timeout_seconds=_TIMEOUT,
            )
            for number in range(count)
        ],
        batch_size=1000,
    )
    CheckState.objects.bulk_create(
        [
            CheckState(check_of=check, state="up", standing="up", since=now, last_at=now)
            for check in checks
        ],
        batch_size=1000,
    )
    StateSegment.objects.bulk_create(
        [StateSegment(check_of=check, standing="up", started_at=now) for check in checks],
        batch_size=1000,
    )


async def _beat(seconds: float) -> _Found:
    """Run slices each second, as the daemon does."""
    from core import leases
    from core.loops import in_thread
    from reliability.models import CheckState, Sample
    from reliability.services.probes import LEASE, ProbeLoop

    held = await in_thread(leases.acquire, name=LEASE, seconds=600)
    assert held is not None
    loop = ProbeLoop()
    await loop(held)
    prober = loop._prober  # noqa: SLF001  # what is measured
    assert prober is not None
    prober._per_host = 10_000  # noqa: SLF001  # a few addresses stand for as many hosts
    lags = prober.lateness = _Lags()
    began, spent = time.monotonic(), time.process_time()
    started = dt.datetime.now(dt.UTC)
    asked = 0
    while (left := began + seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left))
        await loop(held)
        if not asked and time.monotonic() - began >= _INTERVAL + 2:
            rows = CheckState.objects.filter(last_at__gte=started)
            asked = await in_thread(rows.count)
    cpu = (time.process_time() - spent) / (time.monotonic() - began)
    memory = psutil.Process().memory_info().rss / 1e6
    with contextlib.suppress(Exception):
        await loop.close()
    late = sorted(lags.all)
    stored = await in_thread(Sample.objects.count)
    return _Found(
        cpu * 100, memory, late[int(len(late) * 0.99)] * 1e3 if late else 0, asked, stored
    )


def _certificate(folder: Path) -> str:
    """Make a certificate for all the addresses, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    now = dt.datetime.now(dt.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address(host)) for host in _HOSTS]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return str(pem)
