"""The page of a check shows what its kind measures, as exactly as it needs to be known."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from reliability.admin.display import clock, milliseconds
from reliability.models import Sample

HOST = {"host": "127.0.0.1", "url": ""}

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(console, make_user):
    """Return a function that opens the page of a check as an admin."""
    client = console(make_user(role="admin"))
    return lambda check: client.get(f"/admin/reliability/check/{check.pk}/").content.decode()


def heads(text):
    table = text[text.index("Last results</caption>") :]
    return re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', table[: table.index("</thead>")])


def series(curves):
    parts = [
        dict(zip(("key", "label"), part.split(":"), strict=True)) for part in curves.split(",")
    ]
    return json.dumps(parts, separators=(",", ":"))


@pytest.mark.parametrize(
    ("fields", "phases", "curves"),
    [
        (
            {"kind": "http", "url": "http://127.0.0.1/"},
            ["Name", "Connection", "TLS", "First byte", "Total"],
            "first_byte_ms:First byte,tls_ms:TLS,connect_ms:Connection,dns_ms:Name",
        ),
        (
            {"kind": "tcp", "port": 80, **HOST},
            ["Name", "Connection", "Total"],
            "connect_ms:Connection,dns_ms:Name",
        ),
        (
            {"kind": "tls", **HOST},
            ["Name", "Connection", "TLS", "Total"],
            "tls_ms:TLS,connect_ms:Connection,dns_ms:Name",
        ),
        ({"kind": "icmp", **HOST}, ["Name", "Reply", "Total"], "first_byte_ms:Reply,dns_ms:Name"),
        ({"kind": "dns", **HOST}, ["Latency"], None),
    ],
)
def test_a_kind_shows_the_phases_it_has(page, make_check, fields, phases, curves):
    check = make_check(**fields)
    now = timezone.now()
    spent = {"dns_ms": 0.1, "connect_ms": 0.2, "tls_ms": 0.3, "first_byte_ms": 0.4}
    Sample.objects.create(check_of=check, at=now, ok=True, latency_ms=0.44, **spent)

    text = page(check)

    assert heads(text) == ["At, UTC", "Result", "Answer", *phases]
    assert ("Phases, mean" in text) is (curves is not None)
    assert curves is None or series(curves) in unescape(text)
    assert "0.4 ms" in text


def test_what_takes_no_time_has_no_column(page, make_check):
    check = make_check(url="http://127.0.0.1/")
    spent = {"dns_ms": 0.0, "connect_ms": 0.2, "tls_ms": 0.0, "first_byte_ms": 0.4}
    Sample.objects.create(check_of=check, at=timezone.now(), ok=True, latency_ms=0.6, **spent)
    failed = {"ok": False, "latency_ms": 0.2, "connect_ms": 0.2, "failure": "connect"}
    Sample.objects.create(check_of=check, at=timezone.now(), **failed)

    text = page(check)

    assert heads(text) == ["At, UTC", "Result", "Answer", "Connection", "First byte", "Total"]
    assert "0.4 ms" in text
    assert ">0 ms<" not in text
    assert ">0.0 ms<" not in text


def test_results_in_a_row_are_told_apart(page, make_check):
    check = make_check()
    now = timezone.now()
    times = [now - timedelta(seconds=10 * number) for number in range(4)]
    Sample.objects.bulk_create(
        Sample(check_of=check, at=at, ok=True, latency_ms=20.0) for at in times
    )

    text = page(check)

    assert [text.count(clock(at)) for at in times] == [1, 1, 1, 1]


def test_a_result_of_another_day_tells_the_day():
    now = timezone.now()

    assert re.fullmatch(r".*>\d\d:\d\d:\d\d<.*", clock(now))
    assert f">{(now - timedelta(days=2)).day} " in clock(now - timedelta(days=2))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        (0.44, "0.4 ms"),
        (9.94, "9.9 ms"),
        (9.96, "10 ms"),
        (12.5, "12 ms"),
        (1234.0, "1,234 ms"),
        (5, "5 ms"),
    ],
)
def test_a_short_latency_keeps_a_tenth(value, words):
    assert milliseconds(value) == words
