"""What ten thousand HTTPS targets a minute cost, with Django, the database and the flush.

Each line is a process of its own, as the daemon runs the loop: configuration, probes, results and
states each second. Another process fills the database before; CPU and lateness are those after a
warm start. Packing is another loop. The database is SQLite unless DATABASE_URL is set. 50,000 are
asked without TLS: the server that answers them has the same two cores.
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
from opsplatform.supervisor.memory import return_large_blocks
from reliability.engine.lateness import Lateness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.leases import Held
    from reliability.services.probes import ProbeLoop

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


def run() -> Iterator[Row]:
    """Measure growth, punctuality, a restart, and targets that never answer."""
    with tempfile.TemporaryDirectory(prefix="ops-bench-tls-") as folder:
        pem = _certificate(Path(folder))
        with answering(_Answers, _HOSTS, pem=pem) as port:
            url = f"https://{{host}}:{port}/{{number}}"
            yield from _growth("1,000 HTTPS", _measured(1_000, 5, 15, url, pem), 1)
            found = _measured(10_000, 10, _INTERVAL, url, pem)
            yield from _growth("10,000 HTTPS", found, 1)
            label = "10,000 HTTPS targets a minute"
            yield Row(f"{label}, memory", found.memory_mb, "MB", "limit with Django", _LIMIT_MEMORY)
            what = f"{label}, not asked within an interval of a restart"
            yield Row(what, 10_000 - found.asked, "", "limit 1", 1)
        with answering(_Answers, _HOSTS) as port:
            found = _measured(50_000, 10, 15, f"http://{{host}}:{port}/{{number}}", pem)
            yield from _growth("50,000 HTTP", found, 5)
        with answering(_Silence, _HOSTS) as port:
            found = _measured(10_000, 0, 25, f"http://{{host}}:{port}/{{number}}", pem)
            yield Row("10,000 hanging, start late, p99", found.lag_p99_ms, "ms", "limit", 500)
            yield Row("10,000 hanging, memory", found.memory_mb, "MB", "limit", _LIMIT_MEMORY * 2)


def _growth(label: str, found: _Found, times: int) -> Iterator[Row]:
    what = f"{label} targets a minute"
    against = "limit of a core" if times == 1 else "limit of 10,000, in proportion"
    yield Row(f"{what}, CPU", found.cpu_percent, "%", against, _LIMIT_SHARE * times)
    yield Row(f"{what}, start late, p99", found.lag_p99_ms, "ms", "limit", 250)


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


def _measured(count: int, warm: float, seconds: float, url: str, pem: str) -> _Found:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="ops-bench-prober-") as folder:
        for work in (
            context.Process(target=_filled, args=[folder, count, url]),
            context.Process(target=_child, args=[folder, warm, seconds, pem, theirs]),
        ):
            work.start()
            work.join()
    return ours.recv()  # type: ignore[no-any-return]  # what the child sends


def _begin(folder: str) -> None:
    os.environ["LOG_LEVEL"] = "ERROR"
    os.environ["OPS_DATA_DIR"] = folder
    import django

    django.setup()


def _filled(folder: str, count: int, url: str) -> None:
    _begin(folder)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _fill(count, url)


def _child(folder: str, warm: float, seconds: float, pem: str, told: object) -> None:
    os.environ["SSL_CERT_FILE"] = pem
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return_large_blocks()
    _begin(folder)
    from core.loops import close_pool
    from core.runner import tell_defect

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as event_loop:
        event_loop.get_loop().set_exception_handler(tell_defect)
        found = event_loop.run(_beat(warm, seconds))
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
                url=url.format(host=_HOSTS[number % len(_HOSTS)], number=number),
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


async def _beat(warm: float, seconds: float) -> _Found:
    """Run slices each second, as the daemon does."""
    from core import leases
    from core.loops import in_thread
    from reliability.models import CheckState
    from reliability.services.probes import LEASE, ProbeLoop

    held = await in_thread(leases.acquire, name=LEASE, seconds=600)
    assert held is not None
    started = dt.datetime.now(dt.UTC)
    loop = ProbeLoop()
    await loop(held)
    prober = loop._prober  # noqa: SLF001  # what is measured
    assert prober is not None
    prober._per_host = 10_000  # noqa: SLF001  # a few addresses stand for as many hosts
    await _slices(loop, held, warm)
    lags = prober.lateness = _Lags()
    began, spent = time.monotonic(), time.process_time()
    await _slices(loop, held, seconds)
    cpu = (time.process_time() - spent) / (time.monotonic() - began)
    memory = psutil.Process().memory_info().rss / 1e6
    asked = await in_thread(CheckState.objects.filter(last_at__gte=started).count)
    with contextlib.suppress(Exception):
        await loop.close()
    late = sorted(lags.all)
    return _Found(cpu * 100, memory, late[int(len(late) * 0.99)] * 1e3 if late else 0, asked)


async def _slices(loop: ProbeLoop, held: Held, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left))
        await loop(held)


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
