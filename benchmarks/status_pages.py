"""How long the public status page and the page of one service with very many checks take.

Half of the checks belong to one service, the other half to services of their own, all of them on
the status page. Pages are asked for as they are made anew, and as copies.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.served.visits import prepare, signed_in
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZES: Final = (100, 1_000, 10_000)
_ROUNDS: Final = 7
_SEGMENTS: Final = 6
_AT_ONCE: Final = 5_000
_LIMIT_MS: Final = 200.0
_LIMIT_KB: Final = 100.0
_CONSOLE: Final = {
    "page of a service with half of the checks": "/admin/reliability/service/{service}/",
    "its last page of checks": "/admin/reliability/service/{service}/?checks-page={last}",
    "list of services": "/admin/reliability/service/",
    "list of checks": "/admin/reliability/check/",
    "list of checks, filtered by that service": (
        "/admin/reliability/check/?service__id__exact={service}"
    ),
    "list of checks, searched": "/admin/reliability/check/?q=Service+1",
    "list of heartbeats": "/admin/reliability/heartbeat/",
    "list of objectives": "/admin/reliability/slo/",
}
_PUBLIC: Final = {
    "status page": "/status/",
    "status page, last page": "/status/?page={pages}",
    "history of the status page": "/status/history/",
    "feed of the status page": "/status/feed.atom",
}


def run() -> Iterator[Row]:
    """Fill the database step by step, and ask for each page at each size."""
    prepare()
    from django.test import Client

    console, stranger = signed_in(), Client()
    count = 0
    for size in _SIZES:
        ids = _fill(count, size)
        count = size
        for what, path in {**_CONSOLE, **_PUBLIC}.items():
            client = console if what in _CONSOLE else stranger
            spent, weight = _asked(client, path.format(**ids))
            yield Row(f"{what}, {size:,} checks", spent, "ms", "limit 200 ms", _LIMIT_MS)
            if size == _SIZES[-1]:
                yield Row(f"{what}, {size:,} checks", weight, "KB", "limit 100 KB", _LIMIT_KB)
        yield Row(
            f"copy of the status page, {size:,} checks", _copied(stranger), "ms", "limit 5 ms", 5.0
        )
    yield from _moved()


def _fill(before: int, size: int) -> dict[str, int]:
    """Add checks up to a number; every fiftieth is down."""
    from audit.services.acts import unwatched
    from reliability.models import Service

    now = datetime.now(UTC)
    began = now - timedelta(days=90)
    with unwatched("set-up of a benchmark"):
        many, _ = Service.objects.get_or_create(
            name="Many", defaults={"is_public": True, "created_at": began}
        )
        own = Service.objects.bulk_create(
            (
                Service(name=f"Service {number:05d}", is_public=True, created_at=began)
                for number in range(before // 2, size // 2)
            ),
            batch_size=_AT_ONCE,
        )
        _add_checks([*own, *[many] * len(own)], now, began)
    return {"service": many.pk, "last": (size // 2) // 25, "pages": (size // 2) // 50}


def _add_checks(services: list[Any], now: datetime, began: datetime) -> None:
    from reliability.models import Check, CheckState, Incident, IncidentEvent, StateSegment

    checks = Check.objects.bulk_create(
        (
            Check(
                service=service,
                name=f"Check {number}",
                url=f"http://127.0.0.1/{number}",
                created_at=began,
            )
            for number, service in enumerate(services)
        ),
        batch_size=_AT_ONCE,
    )
    down = {check.pk for check in checks[::50]}
    CheckState.objects.bulk_create(
        (
            CheckState(
                check_of=check,
                state="down" if check.pk in down else "up",
                standing="down" if check.pk in down else "up",
                since=now - timedelta(hours=1),
                # Nobody probes here: what was found shall hold while the pages are measured.
                last_at=now + timedelta(hours=1),
                last_ms=20.0,
                last_code=200,
            )
            for check in checks
        ),
        batch_size=_AT_ONCE,
    )
    length = timedelta(days=90) / _SEGMENTS
    StateSegment.objects.bulk_create(
        (
            StateSegment(
                check_of=check,
                standing="down" if (check.pk in down) and number % 2 else "up",
                started_at=now - length * (_SEGMENTS - number),
                ended_at=None
                if number == _SEGMENTS - 1
                else now - length * (_SEGMENTS - number - 1),
            )
            for check in checks
            for number in range(_SEGMENTS)
        ),
        batch_size=_AT_ONCE,
    )
    made = Incident.objects.bulk_create(
        Incident(
            check_of=check,
            service=check.service,
            service_name=check.service.name,
            title="x",
            dedup_key=f"availability:benchmark-{check.pk}",
            started_at=now - timedelta(hours=1),
        )
        for check in checks
        if check.pk in down
    )
    IncidentEvent.objects.bulk_create(
        IncidentEvent(incident=incident, kind="opened", actor_kind="system", actor_name="benchmark")
        for incident in made
    )


def _asked(client: Any, path: str) -> tuple[float, float]:  # noqa: ANN401
    """Return the least time of a page that is made anew each time, and its weight."""
    from reliability.pages import status

    spent, weight = [], 0
    for _ in range(_ROUNDS):
        status.copies.forget()
        began = time.perf_counter()
        answer = client.get(path)
        spent.append((time.perf_counter() - began) * 1e3)
        assert answer.status_code == 200, (path, answer.status_code)
        weight = len(answer.content)
    # The least: neighbours on the machine only ever add.
    return min(spent), weight / 1_024


def _copied(client: Any) -> float:  # noqa: ANN401
    client.get("/status/")
    spent = []
    for _ in range(200):
        began = time.perf_counter()
        client.get("/status/")
        spent.append((time.perf_counter() - began) * 1e3)
    return min(spent)


def _moved() -> Iterator[Row]:
    """Take a file of two thousand new checks over, and everything along."""
    from core.actors import Actor
    from reliability.engine import exchange as files
    from reliability.selectors import exchange as catalogue
    from reliability.services import exchange
    from reliability.services.exchange_plan import plan

    lines = [
        f"Imported {number // 10},Check {number},http://127.0.0.1/{number}"
        for number in range(2_000)
    ]
    content = "\n".join(["service,name,url", *lines]).encode()
    began = time.perf_counter()
    rows = exchange.rows_of(content, "csv")
    plan(rows)
    yield Row(
        "plan of a file of 2,000 checks", time.perf_counter() - began, "s", "limit 10 s", 10.0
    )
    began = time.perf_counter()
    exchange.take_over(actor=Actor.command("benchmark"), rows=rows)
    yield Row("taking it over", time.perf_counter() - began, "s", "limit 10 s", 10.0)
    began = time.perf_counter()
    count = sum(len(part) for part in files.write_csv(catalogue.rows(), catalogue.COLUMNS))
    spent = time.perf_counter() - began
    yield Row(
        f"export of 12,000 checks as CSV, {count / 1e6:.1f} MB", spent, "s", "limit 10 s", 10.0
    )
