"""Checks of every kind, jobs, objectives, changes, maintenance and the status page, for real."""

import http.client
import json
import socketserver
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import dns.message
import dns.rrset
import pytest

from tests.support.certificates import shaking_hands
from tests.support.platform import wait_until
from tests.support.servers import self_signed

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(240)]

KEY = "smoke-test-dashboard-key-of-forty-characters"
OFTEN = {"interval_seconds": 10, "timeout_seconds": 2, "retry_interval_seconds": 1}


class _Names(socketserver.BaseRequestHandler):
    """A name server that knows one address."""

    def handle(self):
        """Answer every question with it."""
        data, out = self.request
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        name = query.question[0].name
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
        out.sendto(answer.to_wire(), self.client_address)


@pytest.fixture
def names():
    """Return the address of a name server."""
    with socketserver.UDPServer(("127.0.0.1", 0), _Names) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def running(platform):
    """Return a platform that asks often."""
    return platform(ROLES_JSON=json.dumps({KEY: "admin"}), UPTIME_STRIKES="1")


def _ask(running, method, path, body=None, expected=200):
    status, answer = running.ask(method, path, body, key=KEY)
    assert status == expected, answer
    return answer


def _add(running, service, **fields):
    return _ask(running, "POST", "/api/checks/", {"service": service, **fields}, 201)


def _public(running, path, method="GET"):
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.getheader("Set-Cookie") is None
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _state(running, key):
    return _ask(running, "GET", f"/api/checks/{key}/")["status"]["state"]


def test_checks_of_every_kind_find_what_is_there(running, service, names, tmp_path):
    shop = _ask(running, "POST", "/api/services/", {"name": "Shop"}, 201)["id"]
    here = {"host": "127.0.0.1"}
    with shaking_hands(self_signed(tmp_path)) as port:
        wanted = {
            "http": {"url": service.url, "body_contains": "ok"},
            "tcp": {**here, "port": service.port},
            "dns": {
                "host": "shop.example",
                "dns_type": "A",
                "dns_expected": "192.0.2.1",
                "dns_server": names,
            },
            "tls": {**here, "port": port},
            "icmp": here,
        }
        made = {
            kind: _add(running, shop, name=kind, kind=kind, **fields, **OFTEN)["id"]
            for kind, fields in wanted.items()
        }
        # Nobody vouches for the certificate, and not every kernel lets us ping.
        expected = {"http": {"up"}, "tcp": {"up"}, "dns": {"up"}, "tls": {"down"}}
        for kind, states in expected.items():
            wait_until(lambda k=kind, s=states: _state(running, made[k]) in s, what=kind)
        found = wait_until(
            lambda: _ask(running, "GET", f"/api/checks/{made['icmp']}/results")["results"],
            what="a ping",
        )
        assert found[0]["ok"] or found[0]["failure"] == "setup", found[0]
        certificate = _ask(running, "GET", f"/api/checks/{made['tls']}/")["certificate_ends_at"]
        assert datetime.fromisoformat(certificate) > datetime.now(UTC) + timedelta(days=20)

    (incident,) = _ask(running, "GET", f"/api/incidents/?service={shop}")["results"]
    assert (incident["title"], incident["state"]) == ("Shop (tls) is down", "triggered")


def test_a_job_reports_fails_and_reports_again(running):
    shop = _ask(running, "POST", "/api/services/", {"name": "Shop"}, 201)["id"]
    rhythm = {"schedule": "period", "period_seconds": 3600, "grace_seconds": 60}
    made = _add(running, shop, kind="heartbeat", name="nightly backup", heartbeat=rhythm)
    address = urlsplit(made["heartbeat"]["address"]).path
    assert made["status"]["state"] == "unknown"

    assert _public(running, address) == (200, "OK\n")
    wait_until(lambda: _state(running, made["id"]) == "up", what="up")
    assert _public(running, f"{address}/1", "POST") == (200, "OK\n")
    wait_until(lambda: _state(running, made["id"]) == "down", what="down")
    (incident,) = _ask(running, "GET", f"/api/incidents/?service={shop}")["results"]
    assert incident["severity"] == "critical"

    assert _public(running, address) == (200, "OK\n")
    wait_until(
        lambda: _ask(running, "GET", f"/api/incidents/{incident['id']}/")["state"] == "resolved",
        what="the end of the incident",
    )
    assert _public(running, "/hb/nobody-has-this-address")[0] == 404
    kinds = [
        ping["kind"] for ping in _ask(running, "GET", f"/api/checks/{made['id']}/pings")["results"]
    ]
    assert kinds == ["success", "fail", "success"]


def test_an_outage_as_strangers_and_as_people_on_duty_see_it(running, service):
    shop = _ask(
        running,
        "POST",
        "/api/services/",
        {"name": "shop-backend", "is_public": True, "public_name": "Web shop"},
        201,
    )["id"]
    check = _add(running, shop, url=service.url, **OFTEN)["id"]
    wait_until(lambda: _state(running, check) == "up", what="up")
    change = {"service_name": "shop-backend", "title": "Shop 4.7.1", "external_key": "run-17"}
    told = _ask(running, "POST", "/api/ops/changes", change, 201)
    again = _ask(running, "POST", "/api/ops/changes", change, 201)
    assert again["id"] == told["id"]

    service.stop()
    (incident,) = wait_until(
        lambda: _ask(running, "GET", f"/api/incidents/?service={shop}")["results"],
        what="the incident",
    )
    path = f"/api/incidents/{incident['id']}"
    assert _ask(running, "POST", f"{path}/acknowledge/")["state"] == "acknowledged"
    _ask(running, "POST", f"{path}/updates/", {"text": "We are on it."}, 201)
    events = [event["text"] for event in _ask(running, "GET", f"{path}/")["events"]]
    assert any("Shop 4.7.1" in text for text in events), events

    def page():
        status, text = _public(running, "/status/")
        assert status == 200
        assert "shop-backend" not in text
        return text

    shown = wait_until(lambda: (text := page()) and "We are on it." in text and text, what="told")
    assert "Web shop: outage" in shown
    assert "We are on it." in _public(running, "/status/feed.atom")[1]

    begin = datetime.now(UTC) + timedelta(seconds=5)
    window = {
        "title": "Repair",
        "services": [shop],
        "repeat": "once",
        "starts_at": begin.isoformat(),
        "duration_seconds": 3600,
        "time_zone": "UTC",
    }
    _ask(running, "POST", "/api/maintenance/", window, 201)
    wait_until(lambda: "Repair" in page() and "in maintenance" in page(), what="maintenance")


def test_objectives_are_judged_and_the_short_cuts_exit_as_they_say(running, service):
    shop = _ask(running, "POST", "/api/services/", {"name": "Shop"}, 201)["id"]
    check = _add(running, shop, url=service.url, **OFTEN)["id"]
    wait_until(lambda: _state(running, check) == "up", what="up")

    (standing,) = [
        one
        for one in _ask(running, "GET", "/api/ops/slo/status")["results"]
        if one["service"] == shop
    ]
    assert (standing["objective"], standing["fails_gate"]) == (0.995, False)
    # What `make slo` and `make uptime` run.
    judged = running.manage("slo_guard", "--once")
    assert "Shop" in judged.stdout
    assert "0.00" in judged.stdout or "-" in judged.stdout
    asked = running.manage("uptime_monitor", "--once", check=False)
    assert asked.returncode == 0, asked.stdout
    assert "Shop" in asked.stdout
    service.stop()
    asked = running.manage("uptime_monitor", "--once", check=False)
    assert asked.returncode == 1
    assert "Shop" in asked.stdout
    assert _public(running, "/healthz/strict")[0] == 200
