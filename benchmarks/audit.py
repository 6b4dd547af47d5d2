"""What the record of an act costs, on SQLite unless DATABASE_URL names PostgreSQL.

Unchained is the same row written by the same statement in a transaction of its own, without keyed
digest, act and sealer. The sealer runs beside the audited writers, in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Event

_RECORDS: Final = 2_000
_VERIFIED: Final = 40_000
_SECONDS: Final = 3
_ROUNDS: Final = 2


def run() -> Iterator[Row]:
    """Measure one record, many writers, sealing and verification."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    writers = 16 if connection.vendor == "postgresql" else 4
    yield Row("record(), CPU", _record_microseconds(), "us", "goal 150 us", 150)
    # Rounds take turns, so that a busy moment of the machine meets both.
    pairs = [(_rate(_plain, writers), _rate(_audited, writers)) for _ in range(_ROUNDS)]
    plain, audited = (max(rates) for rates in zip(*pairs, strict=True))
    what = f"audited acts, {writers} writers"
    if connection.vendor == "postgresql":
        yield Row(what, audited, "/s", "limit 2,000/s", 2_000, higher_is_better=True)
    yield Row(what, audited, "/s", "0.9 x unchained", plain * 0.9, higher_is_better=True)
    sealed, wall, cpu, keyed = _verified()
    yield Row("sealing", sealed, "/s", "goal 20,000/s", 20_000, higher_is_better=True)
    # The database has a process of its own on PostgreSQL: ours is what one core does.
    yield Row(
        "verification, one core", cpu, "/s", "limit 200,000/s", 200_000, higher_is_better=True
    )
    yield Row(
        "keyed digests, one core", keyed, "/s", "goal 100,000/s", 100_000, higher_is_better=True
    )
    yield Row(
        "verification, with the database",
        wall,
        "/s",
        "goal 50,000/s",
        50_000,
        higher_is_better=True,
    )


def _one() -> None:
    from audit.services.records import record
    from core.actors import Actor, ActorKind

    actor = Actor(ActorKind.USER, "5e791186-a1a9-424e-b003-14b1b2470b1b", "somebody")
    record(
        actor=actor,
        action="thing.updated",
        before={"name": "old", "count": 1},
        after={"name": "new", "count": 2},
        reason="Because it had to be.",
    )


def _record_microseconds() -> float:
    from django.db import transaction

    found = []
    for _ in range(_ROUNDS):
        with transaction.atomic():
            began = time.process_time()
            for _ in range(_RECORDS):
                _one()
            found.append((time.process_time() - began) * 1e6 / _RECORDS)
    return min(found)


def _audited() -> None:
    from audit.services.acts import act

    with act():
        _one()


def _plain() -> None:
    from django.db import connection, transaction

    from audit.engine.chain import BODY_FIELDS

    values = ["2026-01-01 00:00:00.000000+00", *(["a text of length"] * len(BODY_FIELDS))]
    values[1], values[3] = "admin", "allowed"
    columns = ", ".join((*BODY_FIELDS, "mac"))
    places = ", ".join(["%s"] * len(values))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO audit_auditrecord ({columns}) VALUES ({places}) RETURNING id",  # noqa: S608  # names of columns
            values,
        )
        cursor.fetchone()


def _rate(work: Callable[[], None], writers: int) -> float:
    """Return how often all writers together do the work in a second."""
    from django.db import connections

    connections.close_all()
    context = multiprocessing.get_context("fork")
    begin, end, counts = context.Event(), context.Event(), context.Queue()
    processes = [
        context.Process(target=_write, args=(work, begin, end, counts)) for _ in range(writers)
    ]
    if work is _audited:
        processes.append(context.Process(target=_seal, args=(end,)))
    for process in processes:
        process.start()
    time.sleep(1)
    begin.set()
    time.sleep(_SECONDS)
    end.set()
    done = sum(counts.get() for _ in range(writers))
    for process in processes:
        process.join()
    return float(done) / _SECONDS


def _write(
    work: Callable[[], None], begin: Event, end: Event, counts: multiprocessing.Queue[int]
) -> None:
    from django.db import connection

    connection.ensure_connection()
    begin.wait()
    done = 0
    try:
        while not end.is_set():
            work()
            done += 1
    finally:
        counts.put(done)
        connection.close()


def _seal(end: Event) -> None:
    from audit.services.seal import seal_all

    while not end.wait(5):
        seal_all()


def _verified() -> tuple[float, float, float, float]:
    from django.db import transaction

    from audit.engine.walk import Walk, unkeyed
    from audit.models import AuditLink
    from audit.selectors import chain
    from audit.services.seal import seal_all

    seal_all()
    for _ in range(_VERIFIED // _RECORDS):
        with transaction.atomic():
            for _ in range(_RECORDS):
                _one()
    began = time.perf_counter()
    sealed = seal_all() / (time.perf_counter() - began)
    size = AuditLink.objects.count()
    best, keys = (0.0, 0.0), chain.mac_keys()
    pages: list[list[Any]] = []
    for _ in range(_ROUNDS):
        walk, pages = Walk(0, bytes(32)), []
        began, cpu = time.perf_counter(), time.process_time()
        for page in chain.links(0, size):
            assert walk.along(page, {}) is None
            pages.append(page)
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        best = max(best, (walk.rows / wall, walk.rows / used))
    cpu = time.process_time()
    for page in pages:
        for _ in unkeyed(keys, page):
            pass
    return (sealed, *best, size / (time.process_time() - cpu))
