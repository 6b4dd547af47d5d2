"""An order given by API keeps its ids through web and worker, and is done by the worker."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.support.platform import wait_until

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(120)]

KEY = "smoke-test-dashboard-key-of-forty-characters"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def _post(platform, path, **headers):
    connection = http.client.HTTPConnection(urlsplit(platform.url).netloc, timeout=40)
    try:
        connection.request(
            "POST", path, "{}", {"X-Dash-Key": KEY, "Content-Type": "application/json", **headers}
        )
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, json.loads(answer.read())
    finally:
        connection.close()


def _lines(platform):
    text = (platform.folder / "logs" / "app.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_ids_reach_the_worker(platform, service):
    running = platform(ROLES_JSON=json.dumps({KEY: "admin"}))
    running.manage("services", "add", service.url, "--name", "Shop")

    status, headers, body = _post(
        running,
        "/api/ops/uptime/test",
        **{
            "X-Request-ID": "an-order-from-outside",
            "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        },
    )

    assert status == 200
    assert body["state"] == "done"
    assert {row["ok"] for row in body["results"]} == {True}
    assert headers["x-request-id"] == "an-order-from-outside"

    def modules():
        return {line["module"] for line in _lines(running) if line["trace_id"] == TRACE}

    wait_until(lambda: "celery.app.trace" in modules(), what="the worker's line")
    assert "observability.middleware" in modules()
    ids = {line["request_id"] for line in _lines(running) if line["trace_id"] == TRACE}
    assert ids == {"an-order-from-outside"}
    assert not any(KEY in json.dumps(line) for line in _lines(running))


def test_an_order_survives_a_worker_that_is_killed(platform, service):
    running = platform(ROLES_JSON=json.dumps({KEY: "admin"}))
    running.manage("services", "add", service.url, "--name", "Shop")
    worker = running.child("worker")
    worker.suspend()
    worker.kill()

    status, _, body = _post(running, "/api/ops/uptime/test")
    assert status in {200, 202}

    def done():
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=10)
        connection.request("GET", f"/api/ops/uptime/test/{body['id']}", headers={"X-Dash-Key": KEY})
        found = json.loads(connection.getresponse().read())
        connection.close()
        return found["state"] == "done"

    wait_until(done, seconds=60, what="the order")
