"""Redis away and back: the platform says so, goes on watching, and needs no restart."""

import http.client
import json
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from opsplatform.testing.services import start_redis
from tests.support.platform import free_port, wait_until

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.fault,
    pytest.mark.postgres,
    pytest.mark.timeout(180),
]

KEY = "smoke-test-dashboard-key-of-forty-characters"


def _ask(platform, method, path):
    connection = http.client.HTTPConnection(urlsplit(platform.url).netloc, timeout=40)
    try:
        body = "{}" if method == "POST" else None
        headers = {"X-Dash-Key": KEY, "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_redis_away_and_back(platform, service, tmp_path):
    assert settings.REDIS_URL
    port = free_port()
    redis = start_redis(tmp_path, port)
    try:
        running = platform(
            REDIS_URL=f"redis://127.0.0.1:{port}/0", ROLES_JSON=json.dumps({KEY: "admin"})
        )
        running.manage("services", "add", service.url, "--name", "Shop", "--interval", "10")

        redis.kill()
        redis.wait()
        told = wait_until(
            lambda: (found := _ask(running, "GET", "/readyz"))[0] == 503 and found[1],
            seconds=30,
            what="/readyz to notice",
        )
        assert told["checks"]["broker"]["state"] == "down"
        status, order = _ask(running, "POST", "/api/ops/uptime/test")
        assert status in {200, 202}
        probes = len(service.requests)
        wait_until(lambda: len(service.requests) > probes, seconds=30, what="probes without Redis")

        redis = start_redis(tmp_path, port)
        wait_until(
            lambda: _ask(running, "GET", "/readyz")[0] == 200, seconds=60, what="ready again"
        )
        wait_until(
            lambda: (
                _ask(running, "GET", f"/api/ops/uptime/test/{order['id']}")[1]["state"] == "done"
            ),
            seconds=90,
            what="the order that waited",
        )
    finally:
        redis.kill()
        redis.wait()
