"""The status page for strangers, and a file of checks that a person takes over."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import KEY
from tests.browser.test_sweep import tell, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FILE = """service,service_is_public,service_public_name,name,url,interval_seconds
Bakery,yes,Bread,Oven,http://127.0.0.1:1/,10
Bakery,,,Door,http://127.0.0.1:1/door,10
"""


@pytest.mark.usefixtures("signed_in")
def test_strangers_see_public_services_and_nothing_else(browse, platform):
    stranger = browse(signed_in=False, java_script_enabled=True)
    _, services = platform.ask("GET", "/api/services/", key=KEY)
    keys = {service["name"]: service["id"] for service in services["results"]}
    shown = {"is_public": True, "public_name": "Depot"}
    status, _ = platform.ask("PATCH", f"/api/services/{keys['Warehouse']}/", shown, key=KEY)
    assert status == 200
    # A copy made before holds for some seconds.
    stranger.wait_for_timeout(16_000)

    faults = visit(stranger, "/status/", "status-page")
    expect(stranger.get_by_role("heading", name="Depot", exact=True)).to_be_visible()
    assert "Warehouse" not in stranger.content()
    assert "Shop" not in stranger.content()
    assert stranger.context.cookies() == []
    faults += visit(stranger, "/status/history/", "status-history")
    faults += visit(stranger, "/status/history/?month=2020-01", "status-history-empty")
    tell(faults)


def test_a_file_is_looked_at_and_taken_over(browse):
    page = browse()
    address = "/admin/reliability/service/exchange/"
    faults = visit(page, address, "exchange")
    file = {"name": "bread.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("3 added, 0 changed, 0 left, 0 refused.")).to_be_visible()
    page.get_by_role("button", name="Take over").click()
    expect(page.get_by_text("3 added, 0 changed.")).to_be_visible()
    page.goto("/admin/reliability/service/?q=Bakery")
    page.get_by_role("link", name="Bakery").click()
    expect(page.get_by_text("2 checks:")).to_be_visible()

    page.goto(address)
    bad = {**file, "buffer": (FILE + "Bakery,,,Roof,nonsense,10\n").encode()}
    page.get_by_label("File").set_input_files(bad)
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("1 refused")).to_be_visible()
    expect(page.get_by_role("button", name="Take over")).to_have_count(0)
    tell(faults)
