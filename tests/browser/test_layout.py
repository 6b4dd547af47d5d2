"""How pages fill the room there is, and what a reader of a curve keeps."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import KEY
from tests.support.browser import PHONE, layout

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture
def long_owner(platform):
    """Return a service whose owner is one word of a hundred letters."""
    service = {"name": "Ledger", "owner": "w" * 100}
    status, made = platform.ask("POST", "/api/services/", service, key=KEY)
    assert status == 201, made
    yield made
    platform.ask("DELETE", f"/api/services/{made['id']}/", key=KEY)


@pytest.mark.usefixtures("long_owner")
@pytest.mark.parametrize("width", [1400, 1920])
def test_a_long_word_stays_in_its_table(browse, width):
    page = browse(width=width)
    page.goto("/admin/reliability/service/?q=Ledger")
    table = page.locator("#result_list").bounding_box()
    filters = page.locator("#changelist-filter").bounding_box()
    assert table["x"] + table["width"] <= filters["x"]
    assert not layout(page)


def test_a_phone_shows_a_state_beside_its_name(browse):
    page = browse(width=PHONE)
    page.goto("/admin/reliability/service/")
    row = page.locator("#result_list tbody tr").first
    name, state = row.locator("th").bounding_box(), row.locator(".badge").first.bounding_box()
    assert state["x"] + state["width"] <= PHONE
    assert abs(name["y"] - state["y"]) < 12
    expect(row.locator("[data-label=Tier]")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "rows"),
    [(1440, [6]), (1250, [3, 3]), (1100, [3, 3]), (768, [3, 3]), (390, [2, 2, 2])],
)
def test_no_figure_is_alone_beside_an_empty_place(browse, width, rows):
    page = browse(width=width)
    page.goto("/admin/")
    boxes = [card.bounding_box() for card in page.locator(".cards .card").all()]
    tops = sorted({box["y"] for box in boxes})
    assert [sum(box["y"] == top for box in boxes) for top in tops] == rows
    assert (
        len({max(box["x"] + box["width"] for box in boxes if box["y"] == top) for top in tops}) == 1
    )


def test_a_curve_that_is_read_anew_keeps_its_reader(browse):
    page = browse(timezone_id="Asia/Kolkata")
    page.goto("/admin/")
    expect(page.locator(".chart .u-over")).to_be_visible()
    plot, told = page.locator("[data-plot]"), page.locator(".chart [data-read]")
    plot.press("ArrowLeft")
    plot.press("ArrowLeft")
    expect(told).to_have_text(re.compile(r"GMT\+5:30|IST"))
    before = told.inner_text()[:13]
    canvas = page.locator(".chart canvas").element_handle()
    with page.expect_response("**/api/ops/uptime/latency?*"):
        page.evaluate("document.dispatchEvent(new CustomEvent('ops:resync', { detail: {} }))")
    page.wait_for_timeout(300)
    assert canvas.evaluate("canvas => canvas.isConnected")
    expect(told).to_have_text(re.compile(f"^{re.escape(before)}"))
    plot.press("Escape")
    expect(page.locator(".chart [data-keys]")).to_contain_text("95th percentile")


def test_an_empty_range_says_so(browse):
    page = browse()

    def nothing(route):
        answer = route.fetch()
        data = answer.json()
        rows = {key: [None] * len(data["at"]) for key in ("p95_ms", "p50_ms")}
        route.fulfill(response=answer, json={**data, **rows, "failed": [0] * len(data["at"])})

    page.route("**/api/ops/uptime/latency?*", nothing)
    page.goto("/admin/")
    expect(page.locator("[data-plot]")).to_have_text("No data in this range.")
    page.unroute_all()
    page.get_by_role("link", name="1 h").click()
    expect(page.locator(".chart .u-over")).to_be_visible()


def test_the_filters_can_be_closed_in_a_window_that_grew(browse):
    page = browse(width=900)
    page.goto("/admin/reliability/service/")
    page.get_by_role("link", name="Filter", exact=True).click()
    close = page.get_by_role("dialog").get_by_role("link", name="Close the filters")
    expect(close).to_be_visible()
    page.set_viewport_size({"width": 1400, "height": 900})
    close.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#changelist-filter")).to_be_visible()
