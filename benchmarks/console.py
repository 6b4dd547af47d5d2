"""How long pages of the console take with 100, 1,000 and 10,000 services, and what home weighs.

Each service has a check with an hour of results and some history; pages are those of an admin.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.served.processes import serving
from benchmarks.served.visits import prepare, signed_in
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZES: Final = (100, 1_000, 10_000)
_ROUNDS: Final = 7
_RESULTS: Final = 60
_SEGMENTS: Final = 12
_TESTS: Final = 20
_AT_ONCE: Final = 5_000
_LIMIT_MS: Final = 200.0
_HOME_KB: Final = 100.0
_PAINT_MS: Final = 150.0
_PAGES: Final = {
    "home": "/admin/",
    "list of services": "/admin/reliability/service/",
    "list of services, last page": "/admin/reliability/service/?p={last}",
    "list of checks": "/admin/reliability/check/",
    "list of incidents": "/admin/reliability/incident/",
    "list of results": "/admin/reliability/sample/",
    "list of uptime tests": "/admin/reliability/uptimetest/",
    "page of an uptime test": "/admin/reliability/uptimetest/{test}/change/",
    "page of a service": "/admin/reliability/service/{service}/",
    "page of a check": "/admin/reliability/check/{check}/",
    "latency over all checks, 24 h, JSON": "/api/ops/uptime/latency?range=24h",
}


def run() -> Iterator[Row]:
    """Fill the database step by step, and ask for each page at each size."""
    prepare()
    client = signed_in()
    count = 0
    for size in _SIZES:
        ids = _fill(count, size)
        count = size
        for what, path in _PAGES.items():
            spent = _ms(client, path.format(last=size // 50, **ids))
            yield Row(f"{what}, {size:,} services", spent, "ms", "limit 200 ms", _LIMIT_MS)
    yield from _seen(client)


def _fill(before: int, size: int) -> dict[str, int]:
    """Add services up to a number; every fiftieth is down, with an open incident."""
    from django.db import transaction

    from reliability.models import Check, CheckState, Incident, Sample, Service, StateSegment

    now = datetime.now(UTC)
    began = now - timedelta(days=30)
    with transaction.atomic():
        services = Service.objects.bulk_create(
            (
                Service(name=f"Service {number:05d}", owner=f"Team {number % 40}", created_at=began)
                for number in range(before, size)
            ),
            batch_size=_AT_ONCE,
        )
        checks = Check.objects.bulk_create(
            (
                Check(service=service, url="http://127.0.0.1/", created_at=began)
                for service in services
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
        StateSegment.objects.bulk_create(
            (segment for check in checks for segment in _segments(check, now, check.pk in down)),
            batch_size=_AT_ONCE,
        )
        Incident.objects.bulk_create(
            Incident(
                check_of=check,
                service=check.service,
                service_name=check.service.name,
                title=f"{check.service.name} is down",
                dedup_key=f"benchmark:{check.pk}",
                started_at=now - timedelta(hours=1),
            )
            for check in checks
            if check.pk in down
        )
    for start in range(0, _RESULTS, 10):
        with transaction.atomic():
            Sample.objects.bulk_create(
                (
                    Sample(
                        check_of=check,
                        at=now - timedelta(minutes=_RESULTS - minute, milliseconds=number % 6000),
                        ok=True,
                        status_code=200,
                        latency_ms=10 + (number * 7 + minute * 13) % 90,
                    )
                    for minute in range(start, start + 10)
                    for number, check in enumerate(checks)
                ),
                batch_size=_AT_ONCE,
            )
    test = _uptime_tests(now)
    return {"service": services[0].pk, "check": checks[0].pk, "test": test.pk}


def _uptime_tests(now: datetime) -> Any:  # noqa: ANN401
    """Add runs of all checks, every fiftieth of them failed; return one."""
    from reliability.models import Check, UptimeTest

    phases = {"dns_ms": 1.0, "connect_ms": 1.0, "tls_ms": 1.0, "first_byte_ms": 20.0}
    rows = Check.objects.order_by("pk").values_list("pk", "service__name")
    told = UptimeTest.told(
        [
            {
                "check": key,
                "service": name,
                "name": "127.0.0.1",
                "url": "http://127.0.0.1/",
                "at": now.isoformat(),
                "ok": bool(number % 50),
                "status_code": 200 if number % 50 else 503,
                "failure": "" if number % 50 else "status",
                "detail": "" if number % 50 else "HTTP 503 Service Unavailable",
                "latency_ms": 23.0,
                "phases": phases,
            }
            for number, (key, name) in enumerate(rows)
        ]
    )
    keys = [result["check"] for result in told["results"]]
    for _ in range(_TESTS):
        test = UptimeTest.objects.create(
            check_ids=keys, check_count=len(keys), state="done", finished_at=now, **told
        )
    return test


def _segments(check: Any, now: datetime, is_down: bool) -> Iterator[Any]:  # noqa: ANN401, FBT001
    from reliability.models import StateSegment

    length = timedelta(days=30) / _SEGMENTS
    for number in range(_SEGMENTS):
        is_last = number == _SEGMENTS - 1
        started_at = now - length * (_SEGMENTS - number)
        yield StateSegment(
            check_of=check,
            standing="down" if (is_down if is_last else number % 2) else "up",
            started_at=started_at,
            ended_at=None if is_last else started_at + length,
        )


def _ms(client: Any, path: str) -> float:  # noqa: ANN401
    spent = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        answer = client.get(path)
        spent.append((time.perf_counter() - began) * 1e3)
        assert answer.status_code == 200, (path, answer.status_code)
    # The least: neighbours on the machine only ever add.
    return min(spent)


def _seen(client: Any) -> Iterator[Row]:  # noqa: ANN401
    """Let a browser that has seen nothing yet open home, if there is one."""
    from django.conf import settings

    from opsplatform.testing import chromium

    path = chromium.find()
    if path is None:
        return
    from playwright.sync_api import sync_playwright

    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    with serving("platform") as server, sync_playwright() as playwright:
        address = f"http://127.0.0.1:{server.port}/"
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        found = [_open(browser, address, cookie) for _ in range(_ROUNDS)]
        browser.close()
    size = f"{_SIZES[-1]:,} services"
    weight = max(weight for weight, _ in found)
    yield Row(f"home cold, over the wire, {size}", weight, "kB", "limit 100 kB", _HOME_KB)
    paint = min(paint for _, paint in found)
    yield Row(f"home, answer to first paint, {size}", paint, "ms", "limit 150 ms", _PAINT_MS)


def _open(browser: Any, address: str, cookie: str) -> tuple[float, float]:  # noqa: ANN401
    """Return the kilobytes of home to a new browser, and its first paint after the answer."""
    from django.conf import settings

    sizes: list[int] = []
    context = browser.new_context()
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": cookie, "url": address}])
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{address}admin/", wait_until="networkidle")
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        " - performance.getEntriesByType('navigation')[0].responseStart"
    )
    context.close()
    return sum(sizes) / 1000, float(paint)
