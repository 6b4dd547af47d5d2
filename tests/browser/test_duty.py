"""What people on duty do: jobs that report, planned work, an outage that strangers read about."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import KEY
from tests.browser.test_sweep import judge, tell

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SEEN_MS = 60_000


def _service(platform, name, **fields):
    status, made = platform.ask("POST", "/api/services/", {"name": name, **fields}, key=KEY)
    assert status == 201, made
    return made["id"]


def test_a_job_gets_an_address_and_reports(browse, platform):
    service = _service(platform, "Backups")
    page = browse()
    page.goto(f"/admin/reliability/heartbeat/add/?service={service}")
    page.locator("[name=name]").fill("nightly backup")
    if not page.locator("[name=service]").input_value():
        page.locator(".select2-selection").first.click()
        page.locator(".select2-search__field").fill("Backups")
        page.locator(".select2-results__option").filter(has_text="Backups").first.click()
    page.locator("[name=_save]").click()

    page.goto("/admin/reliability/heartbeat/?q=nightly")
    page.locator("#result_list").get_by_role("link", name="nightly backup").click()
    expect(page.locator(".hero .badge").first).to_contain_text("Unknown")
    address = re.search(r"http://[^\s\"'<]+/hb/[\w-]+", page.locator("#content").inner_text())[0]
    faults = judge(page, "heartbeat-before")
    assert page.request.get(address).ok
    expect(page.locator(".hero .badge").first).to_contain_text("Up", timeout=SEEN_MS)
    faults += judge(page, "heartbeat-after")
    tell(faults)


def test_maintenance_is_looked_at_and_declared(browse, platform):
    _service(platform, "Press")
    page = browse()
    page.goto("/admin/reliability/maintenancewindow/add/")
    page.locator("[name=title]").fill("Patch day")
    begins = datetime.now(UTC) + timedelta(days=2)
    page.locator("[name=starts_at]").fill(f"{begins:%Y-%m-%d} 03:00")
    page.locator("[name=duration_minutes]").fill("90")
    page.get_by_role("button", name="Show the next times").click()
    expect(page.locator("#content")).to_contain_text("UTC")
    page.locator("[name=_save]").click()
    page.goto("/admin/reliability/maintenancewindow/?q=Patch")
    page.locator("#result_list").get_by_role("link", name="Patch day").click()
    expect(page.locator("[name=title]")).to_have_value("Patch day")
    _, windows = platform.ask("GET", "/api/maintenance/", key=KEY)
    (made,) = [window for window in windows["results"] if window["title"] == "Patch day"]
    assert made["duration_seconds"] == 5_400
    # It would rest the services of every other journey.
    status, _ = platform.ask("POST", f"/api/maintenance/{made['id']}/cancel/", {}, key=KEY)
    assert status == 200


def test_an_incident_is_taken_told_to_strangers_and_resolved(browse, platform):
    service = _service(platform, "orders-db", is_public=True, public_name="Orders")
    check = {"service": service, "url": "http://127.0.0.1:1/orders", "interval_seconds": 10}
    assert platform.ask("POST", "/api/checks/", check, key=KEY)[0] == 201
    page = browse()
    page.goto(f"/admin/reliability/service/{service}/")
    incident = page.locator("[data-region=incidents] a").first
    expect(incident).to_be_visible(timeout=SEEN_MS)
    incident.click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".hero")).to_contain_text("admin takes care")
    page.get_by_text("Update for the status page").click()
    faults = judge(page, "incident-update")
    page.get_by_label("What strangers read").fill("Orders wait; none is lost.")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("[data-region=timeline]")).to_contain_text("Orders wait; none is lost.")

    stranger = browse(signed_in=False)

    def read(text):
        stranger.goto("/status/")
        return text in stranger.locator("main").inner_text()

    for _ in range(40):
        if read("Orders wait; none is lost."):
            break
        stranger.wait_for_timeout(1_000)
    expect(stranger.locator("main")).to_contain_text("Orders: outage")
    assert "orders-db" not in stranger.content()
    faults += judge(stranger, "status-with-incident")

    page.get_by_role("link", name="Resolve").click()
    dialog = page.locator("dialog[open]")
    dialog.locator("textarea").fill("The disk was full.")
    dialog.locator("[type=submit]").click()
    expect(page.locator(".hero .badge").first).to_contain_text("Resolved")
    tell(faults)
