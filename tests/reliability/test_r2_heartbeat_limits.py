"""Reports that are too many, too long, or only a look: what counts and what does not (R2)."""

import logging
import socket
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.test import override_settings

from core import logs, volatile
from core.masking import mask
from reliability.models import Heartbeat, HeartbeatPing, StateSegment
from reliability.services import catalogue
from tests.support.platform import Platform

KEY = "report-test-dashboard-key-of-more-than-forty-characters"


@pytest.fixture
def make_heartbeat(make_service, operator):
    """Return a function that adds a heartbeat."""

    def make():
        check = catalogue.create_check(
            actor=operator,
            service_id=make_service().pk,
            kind="heartbeat",
            name="job",
            heartbeat={"period_seconds": 3_600},
        )
        return Heartbeat.objects.get(pk=check.pk)

    return make


@pytest.mark.django_db
def test_a_look_at_an_address_reports_nothing(make_heartbeat, client):
    heartbeat = make_heartbeat()

    answers = [client.head(f"/hb/{token}") for token in (heartbeat.token, uuid4(), "nonsense")]

    assert [(answer.status_code, answer.content) for answer in answers] == [
        (200, b""),
        (404, b""),
        (404, b""),
    ]
    assert HeartbeatPing.objects.count() == 0
    assert Heartbeat.objects.get().status == "new"
    assert StateSegment.objects.get().standing == "unknown"


@pytest.mark.django_db
def test_each_job_has_a_limit_of_its_own(make_heartbeat, client):
    volatile.reset()
    busy, other = make_heartbeat(), make_heartbeat()

    with override_settings(OPS_RATE_LIMIT=3):
        answers = [client.get(f"/hb/{busy.token}") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert 1 <= int(answers[-1]["Retry-After"]) <= 60
        assert client.get(f"/hb/{other.token}").status_code == 200

    assert (busy.pings.count(), other.pings.count()) == (3, 1)


@pytest.mark.django_db
def test_who_tries_addresses_is_limited_and_keeps_no_job_from_reporting(make_heartbeat, client):
    volatile.reset()
    heartbeat = make_heartbeat()

    with override_settings(OPS_RATE_LIMIT=3):
        found = [client.get(f"/hb/{uuid4()}").status_code for _ in range(5)]
        assert found == [404, 404, 404, 429, 429]
        assert client.get(f"/hb/{heartbeat.token}").status_code == 200

    assert heartbeat.pings.count() == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("POST /hb/{} 413", "POST /hb/[masked] 413"),
        ("//hb/{}", "//hb/[masked]"),
        ("/hb/{}/start?rid=7", "/hb/[masked]/start?rid=7"),
        ("/hb/{}%00", "/hb/[masked]"),
        ("see /hb/ there", "see /hb/ there"),
    ],
)
def test_no_line_of_the_log_shows_an_address(text, shown):
    token = str(uuid4())
    record = logging.LogRecord("any", 20, "", 0, "%s", (text.format(token),), None)
    record.path = text.format(token)

    assert mask(text.format(token)) == shown
    assert mask(shown) == shown
    assert token.encode() not in logs.encode(record)


def test_a_report_with_a_long_body_counts(tmp_path):
    with Platform(tmp_path / "data", ROLES_JSON=f'{{"{KEY}": "admin"}}') as platform:
        status, service = platform.ask("POST", "/api/services/", {"name": "Jobs"}, key=KEY)
        assert status == 201
        wanted = {
            "service": service["id"],
            "kind": "heartbeat",
            "name": "backup",
            "heartbeat": {"period_seconds": 600},
        }
        status, check = platform.ask("POST", "/api/checks/", wanted, key=KEY)
        assert status == 201, check
        path = check["heartbeat"]["address"].partition("/hb/")[2]

        url = urlsplit(platform.url)
        where = (url.hostname, url.port)
        size = 12_000_000
        head = f"POST /hb/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        with socket.create_connection(where, timeout=60) as connection:
            connection.sendall(head.encode() + b"x" * size)
            assert connection.recv(4_096).startswith(b"HTTP/1.1 200")

        status, found = platform.ask("GET", f"/api/checks/{check['id']}/pings", key=KEY)
        assert status == 200, found
        assert [len(row["body"]) for row in found["results"]] == [10_240]
