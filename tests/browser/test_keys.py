"""Making, using and revoking an API key in a real browser; the pages of keys in every width."""

import re

import pytest

from tests.browser.conftest import PASSWORD
from tests.support.browser import PHONE, audit, choose_password, layout, shoot, sign_in, wide
from tests.support.platform import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_CUT_OFF = """() => [...document.querySelectorAll(".results, #result_list thead th .text")]
  .filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => `${box.className}: ${box.scrollWidth} in ${box.clientWidth}`)"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Return a platform whose admin has a password of their own."""
    folder = tmp_path_factory.mktemp("keys") / "data"
    with Platform(folder, OPS_RATE_LIMIT="1000000") as running:
        yield running


@pytest.fixture(scope="module")
def cookies(chromium, house):
    """Return the cookies of the admin."""
    page = chromium.new_page(base_url=house.url)
    sign_in(page, "admin", house.password)
    choose_password(page, house.password, PASSWORD)
    kept = page.context.cookies()
    page.close()
    return kept


@pytest.fixture
def open_page(browse, house, cookies):
    """Return a function that opens a page of this platform as its admin."""

    def open_page(**options):
        page = browse(signed_in=False, url=house.url, **options)
        page.context.add_cookies(cookies)
        return page

    return open_page


def judged(page, name):
    """Keep a picture; return what is wrong with the page."""
    shoot(page, f"keys-{name}")
    return audit(page) + layout(page)


def test_a_key_is_made_works_and_is_revoked(open_page, house):
    page = open_page()
    page.goto("/account/keys/")
    page.get_by_role("link", name="New key").first.click()
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_text("See services, checks, results, incidents and uptime tests").click()
    assert judged(page, "new") == []
    page.get_by_role("button", name="Make the key").click()
    page.get_by_text("Copy this now: it is not shown again.").wait_for()
    assert judged(page, "made") == []
    raw = re.search(r"ops_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", page.locator(".secret").inner_text())
    key = raw.group()

    def status(path):
        answer = page.request.get(path, headers={"X-Api-Key": key}, fail_on_status_code=False)
        return answer.status

    assert status("/api/services/") == 200
    assert status("/api/audit/") == 403  # not among its scopes
    page.get_by_role("link", name="Done").click()
    assert page.get_by_text("Nightly report").first.is_visible()
    assert key not in page.content()
    assert judged(page, "list") == []

    page.get_by_role("link", name=re.compile("^Revoke ?: Nightly report")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("It cannot be brought back.").wait_for()
    dialog.get_by_role("button", name="Revoke").click()
    page.get_by_text("Nightly report was revoked.").first.wait_for()
    assert status("/api/services/") == 401
    assert page.get_by_role("heading", name="Ended lately").is_visible()
    assert judged(page, "revoked") == []


@pytest.mark.parametrize(
    "path", ["accounts/user", "accounts/usersession", "accounts/apikey", "accounts/accessreview"]
)
def test_no_heading_is_cut_off_on_a_small_laptop(open_page, path):
    page = open_page(width=1280)
    page.goto(f"/admin/{path}/")
    shoot(page, f"keys-{path.replace('/', '-')}-1280")
    assert wide(page) == []
    assert page.evaluate(_CUT_OFF) == []


@pytest.mark.parametrize("path", ["", "password/", "mfa/", "sessions/", "keys/"])
def test_the_tab_that_is_open_is_in_view_on_a_phone(open_page, path):
    page = open_page(width=PHONE)
    page.goto(f"/account/{path}")
    box = page.locator(".tabs [aria-current]").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE
    shoot(page, f"keys-tabs-{path.strip('/') or 'profile'}-390", full_page=False)


def test_reviews_are_opened_and_decided_in_the_browser(open_page):
    page = open_page()
    page.goto("/admin/accounts/accessreview/")
    opening = page.get_by_role("link", name=re.compile("^Open 20"))
    if opening.count():  # unless the night's job was quicker
        opening.click()
        page.get_by_role("dialog").get_by_role("button", name="Open").click()
    page.goto("/admin/accounts/accessreview/")
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("heading", name=re.compile("^Roles")).wait_for()
    assert judged(page, "review") == []
    page.get_by_role("button", name=re.compile("^Confirm ?: admin: admin")).click()
    page.get_by_text("Confirmed by admin").first.wait_for()


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (PHONE, False), (PHONE, True)])
def test_the_pages_are_good_in_every_light_and_width(open_page, width, dark):
    page = open_page(width=width, dark=dark)
    faults = []
    for path, name in (
        ("/account/keys/", "own"),
        ("/account/keys/new/", "form"),
        ("/admin/accounts/accessreview/", "reviews"),
        ("/admin/accounts/installation/", "networks"),
    ):
        page.goto(path)
        faults += judged(page, f"{name}-{width}-{'dark' if dark else 'light'}")
    assert faults == []
