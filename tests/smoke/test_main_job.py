"""The main job, end to end: watch a real service, tell when it fails and when it is back."""

import email
import email.policy
import http.client
import json
import re
from urllib.parse import urlencode, urlsplit

import pytest

from notifications.engine.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify
from tests.support.platform import wait_until

pytestmark = [pytest.mark.smoke, pytest.mark.timeout(180)]

KEY = "smoke-test-dashboard-key-of-forty-characters"


def _get(platform, path):
    connection = http.client.HTTPConnection(urlsplit(platform.url).netloc, timeout=10)
    try:
        connection.request("GET", path, headers={"X-Dash-Key": KEY})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _rows(platform, path):
    status, body = _get(platform, path)
    assert status == 200, body
    return body["results"] if isinstance(body, dict) else body


def _events(hook):
    return [json.loads(body) for _, _, body in hook.requests]


def _subjects(mail):
    read = [email.message_from_bytes(raw, policy=email.policy.default) for raw in mail.messages]
    return [message["Subject"] for message in read]


class _Browser:
    """Just enough of a browser: cookies, forms with their tokens."""

    def __init__(self, url):
        self._address = urlsplit(url).netloc
        self._cookies = {}

    def get(self, path):
        return self._ask("GET", path)

    def post(self, path, **fields):
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path)[1])[1]
        return self._ask("POST", path, urlencode({"csrfmiddlewaretoken": token, **fields}))

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self._address, timeout=10)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        page = answer.read().decode()
        connection.close()
        return answer.status, page


def test_up_down_told_up_told(platform, service, hook, mail):
    running = platform(
        ROLES_JSON=json.dumps({KEY: "auditor"}),
        MONITORING_ALERT_WEBHOOK=hook.url + "alerts",
        OPS_OUTGOING_ALLOW=f"127.0.0.1:{hook.port}",
        OPS_ALERT_EMAILS="ops@example.org",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=str(mail.port),
    )
    running.manage(
        "services",
        "add",
        service.url,
        "--name",
        "Shop",
        "--interval",
        "10",
        "--timeout",
        "2",
        "--retry",
        "2",
    )

    def state():
        states = {row["service"]: row["status"] for row in _rows(running, "/api/ops/uptime/")}
        return (states.get("Shop") or {}).get("state")

    wait_until(lambda: state() == "up", what="up")
    assert _rows(running, "/api/incidents/") == []

    service.stop()
    wait_until(lambda: state() == "down", seconds=90, what="down")
    incident = wait_until(lambda: _rows(running, "/api/incidents/"), what="the incident")[0]
    assert incident["severity"] == "critical"
    wait_until(lambda: len(hook.requests) == 1, what="the webhook")
    wait_until(lambda: len(mail.messages) == 1, what="the e-mail")

    service.start()
    wait_until(lambda: state() == "up", seconds=90, what="up again")
    wait_until(lambda: len(hook.requests) == 2, what="the second webhook")
    wait_until(lambda: len(mail.messages) == 2, what="the second e-mail")
    incident = _rows(running, "/api/incidents/")[0]
    assert incident["state"] == "resolved"

    assert [body["event"]["status"] for body in _events(hook)] == ["firing", "resolved"]
    assert all("Shop" in subject for subject in _subjects(mail))
    secret = running.manage("notifications_secret").stdout.split()[-1]
    import time

    for _, headers, body in hook.requests:
        named = {name.lower(): value for name, value in headers.items()}
        assert verify(
            secrets=[secret],
            timestamp=named[TIMESTAMP_HEADER.lower()],
            signature=named[SIGNATURE_HEADER.lower()],
            body=body,
            now=time.time(),
        )
    states = {row["state"] for row in _rows(running, "/api/notifications/")}
    assert states == {"sent"}

    browser = _Browser(running.url)
    browser.post("/admin/login/", username="admin", password=running.password, next="/admin/")
    new = "correct horse battery staple"
    browser.post(
        "/admin/password_change/",
        old_password=running.password,
        new_password1=new,
        new_password2=new,
    )
    status, page = browser.get("/admin/reliability/incident/")
    assert status == 200
    assert "Shop" in page
    assert browser.get("/admin/notifications/notification/")[0] == 200
    assert running.stop() == 0
    assert running.tree() == []


def test_every_file_that_a_page_names_is_there(platform):
    started = platform()
    browser = _Browser(started.url)
    status, page = browser.get("/admin/login/")
    assert status == 200
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(named) >= 3

    assert {path: browser.get(path)[0] for path in named} == dict.fromkeys(named, 200)
