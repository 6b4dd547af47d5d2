"""One platform with something in it, one browser, and pages that may do nothing wrong."""

import json

import pytest

from tests.support.browser import DESKTOP, Watch, choose_password, launched, sign_in
from tests.support.platform import Platform, wait_until
from tests.support.receivers import Web

KEY = "browser-test-dashboard-key-of-forty-characters"
PASSWORD = "correct horse battery staple"


def watch(platform, name, url):
    """Let the platform watch a service, often."""
    status, made = platform.ask("POST", "/api/services/", {"name": name}, key=KEY)
    assert status == 201, made
    check = {
        "service": made["id"],
        "url": url,
        "interval_seconds": 10,
        "timeout_seconds": 2,
        "retry_interval_seconds": 1,
    }
    status, made = platform.ask("POST", "/api/checks/", check, key=KEY)
    assert status == 201, made


def _rows(platform, path):
    return platform.ask("GET", path, key=KEY)[1]["results"]


@pytest.fixture(scope="session")
def chromium():
    """Return the browser."""
    with launched() as browser:
        if browser is None:
            pytest.skip("Browser: NOT TESTED")
        yield browser


@pytest.fixture(scope="session")
def make_service():
    """Return a function that starts an HTTP service; all run to the end, and disturb nobody."""
    made = []

    def make():
        made.append(Web())
        return made[-1]

    yield make
    for web in made:
        web.stop()


@pytest.fixture(scope="session")
def service(make_service):
    """Return an HTTP service that the platform watches."""
    return make_service()


@pytest.fixture(scope="session")
def platform(tmp_path_factory, make_service, service):
    """Return a running platform with one service up, one down, an incident and a message."""
    hook = make_service()
    variables = {
        "ROLES_JSON": json.dumps({KEY: "admin"}),
        "MONITORING_ALERT_WEBHOOK": hook.url,
        "OPS_OUTGOING_ALLOW": f"127.0.0.1:{hook.port}",
        "OPS_RATE_LIMIT": "1000000",
        "OPS_LOGIN_RATE_LIMIT": "1000",
        "UPTIME_STRIKES": "1",
    }
    with Platform(tmp_path_factory.mktemp("platform") / "data", **variables) as running:
        watch(running, "Shop", service.url)
        watch(running, "Warehouse", "http://127.0.0.1:1/")
        assert running.ask("POST", "/api/ops/uptime/test", {}, key=KEY)[0] in {200, 202}
        wait_until(
            lambda: (
                _rows(running, "/api/incidents/")
                and {row["state"] for row in _rows(running, "/api/notifications/")} == {"sent"}
            ),
            what="an incident and a message",
        )
        yield running


@pytest.fixture(scope="session")
def signed_in(chromium, platform):
    """Return the cookies of the first admin, who has chosen a password."""
    context = chromium.new_context(base_url=platform.url)
    page = context.new_page()
    sign_in(page, "admin", platform.password)
    choose_password(page, platform.password, PASSWORD)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def browse(chromium, platform, request):
    """Return a function that opens a page; at the end no page may have done anything wrong."""
    opened = []

    def open_page(*, signed_in=True, width=DESKTOP, dark=False, url=platform.url, **options):
        state = request.getfixturevalue("signed_in") if signed_in else None
        context = chromium.new_context(
            base_url=url,
            storage_state=state,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.watch = Watch(context, url)
        opened.append((context, page.watch))
        return page

    yield open_page
    faults = []
    for context, watch in opened:
        context.close()
        faults += watch.unexpected()
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
