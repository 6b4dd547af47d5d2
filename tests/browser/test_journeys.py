"""What people do in the console, in a real browser, with real services behind it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import KEY, PASSWORD, watch
from tests.support.browser import (
    PHONE,
    SMALL_PHONE,
    choose_password,
    layout,
    sign_in,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# A check asks each ten seconds, and one answer decides.
SEEN_MS = 30_000
NEW_PASSWORD = "a staple that no horse would guess"


def live(page):
    """Wait until a page hears what happens."""
    expect(page.locator("html")).to_have_attribute("data-live", "live", timeout=SEEN_MS)


@pytest.fixture
def shop(platform, make_service):
    """Return the name of a service of the test's own."""
    web = make_service()
    name = f"Shop {web.port}"
    watch(platform, name, web.url)
    return name


def test_a_new_person_chooses_a_password(browse):
    page = browse()
    page.goto("/admin/accounts/user/add/")
    page.locator("[name=username]").fill("rosa")
    page.get_by_label("auditor").check()
    page.locator("[name=_save]").click()
    password = page.locator("code.secret").inner_text()

    theirs = browse(signed_in=False)
    sign_in(theirs, "rosa", password)
    assert theirs.url.endswith("/account/password/")
    theirs.goto("/admin/reliability/service/")
    assert theirs.url.endswith("/account/password/")
    theirs.goto("/api/docs/")
    assert theirs.url.endswith("/account/password/")
    choose_password(theirs, password, NEW_PASSWORD)
    theirs.goto("/admin/")
    expect(theirs.get_by_role("heading", name="Services")).to_be_visible()
    live(theirs)


def test_a_service_goes_down_and_up_before_ones_eyes(browse, make_service):
    web = make_service()
    name = f"Desk {web.port}"
    page = browse()
    page.goto("/admin/reliability/service/add/")
    page.locator("[name=name]").fill(name)
    page.locator("[name=checks-0-url]").fill(web.url)
    page.locator("[name=_save]").click()
    page.goto("/admin/reliability/service/")
    page.locator("#result_list").get_by_role("link", name=name).click()
    live(page)
    page.evaluate("window.isTheSamePage = true")
    state = page.locator(".hero .badge").first
    expect(state).to_contain_text("Up", timeout=SEEN_MS)

    web.stop()
    expect(state).to_contain_text("Down", timeout=SEEN_MS)
    toast = page.locator("#toasts").get_by_role("link", name=re.compile(re.escape(name)))
    expect(toast.first).to_be_visible()
    expect(page.locator("#bell .count")).to_be_visible()
    assert page.evaluate("window.isTheSamePage")

    page.locator("#bell summary").click()
    expect(page.locator("#bell .alerts a").filter(has_text=name).first).to_be_visible()
    expect(page.locator("#bell .count")).to_be_hidden()
    page.keyboard.press("Escape")

    incident = page.locator("[data-region=incidents] a").first
    expect(incident).to_be_visible()
    incident.click()
    live(page)
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".hero")).to_contain_text("admin takes care")
    live(page)
    page.evaluate("window.isTheSamePage = true")
    web.start()
    expect(page.locator(".hero .badge").first).to_contain_text("Resolved", timeout=SEEN_MS)
    expect(page.locator("[data-region=timeline]")).to_contain_text("Resolved")
    assert page.evaluate("window.isTheSamePage")


def test_the_palette_finds_and_opens(browse, shop):
    name = shop
    page = browse()
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox")
    expect(box).to_be_focused()
    page.keyboard.type(name)
    expect(page.get_by_role("option").first).to_contain_text(name)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/reliability/service/\d+/$"))
    expect(page.locator("h1")).to_have_text(name)


def _outline(page):
    return page.evaluate(
        """() => { const style = getComputedStyle(document.activeElement);
        return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
          || style.boxShadow !== "none"; }"""
    )


def test_a_keyboard_suffices(browse):
    page = browse()
    page.goto("/admin/")
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_attribute("href", re.compile("^#content"))
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#content, #main, main') !== null")

    page.goto("/admin/reliability/incident/")
    page.locator("#content a[href*='/incident/1/']").first.press("Enter")
    page.wait_for_url("**/incident/1/**")
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.outerHTML.slice(0, 90)")
        if page.evaluate("document.activeElement === document.body"):
            break
        assert _outline(page), where
        seen.append(where)
    assert len(seen) > 20

    resolve = page.locator("a[data-confirm]").first
    resolve.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_be_visible()
    expect(dialog.locator("[data-cancel]")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body ||"
            " document.activeElement.closest('dialog') !== null"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(resolve).to_be_focused()


def _background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_a_chosen_theme_stays(browse):
    page = browse()
    page.goto("/admin/")
    assert _background(page) == "rgb(246, 247, 249)"
    button = page.locator("[data-theme-switch]")
    for name in ("light", "dark"):
        button.click()
        expect(button).to_have_accessible_name(f"Theme: {name}")
    assert _background(page) == "rgb(11, 17, 28)"
    page.goto("/api/docs/")
    assert _background(page) == "rgb(11, 17, 28)"


@pytest.mark.parametrize("width", [PHONE, SMALL_PHONE])
def test_a_phone_shows_everything_without_scrolling_sideways(browse, width):
    page = browse(width=width, has_touch=True)
    faults = []
    for path in (
        "/admin/",
        "/admin/reliability/service/",
        "/admin/reliability/service/add/",
        "/admin/reliability/incident/",
        "/admin/notifications/notification/",
        "/admin/accounts/user/",
        "/api/docs/",
        "/api/docs/api_services_create/",
    ):
        page.goto(path)
        faults += [f"{path} {fault}" for fault in layout(page)]
    assert not faults, "\n".join(faults)

    page.goto("/admin/")
    page.get_by_role("link", name="Menu").tap()
    menu = page.get_by_role("dialog").get_by_role("link", name="Services")
    expect(menu).to_be_visible()
    menu.tap()
    page.wait_for_url("**/admin/reliability/service/")


@pytest.mark.usefixtures("signed_in")
def test_without_javascript_the_console_works(browse, shop):
    name = shop
    page = browse(signed_in=False, java_script_enabled=False)
    sign_in(page, "admin", PASSWORD)
    page.goto("/admin/reliability/service/")
    page.get_by_role("link", name=name).click()
    expect(page.locator("h1")).to_have_text(name)
    page.get_by_role("link", name="Edit").click()
    page.locator("#content a[href$='/delete/']").click()
    typed = page.locator("[name=typed_name]")
    if typed.count():
        typed.fill(name)
    page.locator("#content input[type=submit]").click()
    page.goto("/admin/reliability/service/")
    expect(page.get_by_role("link", name=name)).to_have_count(0)
    page.goto("/api/docs/api_services_list/")
    expect(page.get_by_text("Trying it here needs JavaScript")).to_be_visible()
    expect(page.locator("[data-api-try]")).to_be_hidden()


def test_a_restart_of_the_server_is_caught_up_with(browse, platform, service):
    page = browse()
    page.watch.allow("WebSocket connection to")
    page.watch.allow("ERR_CONNECTION")
    page.goto("/admin/")
    live(page)
    page.evaluate("window.isTheSamePage = true")
    web = platform.child("web")
    web.suspend()
    try:
        # Another process writes meanwhile what this one cannot tell.
        platform.manage("services", "add", service.url, "--name", "Latecomer")
    finally:
        web.kill()
    expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting", timeout=SEEN_MS)
    live(page)
    expect(page.locator("[data-region=services]")).to_contain_text("Latecomer", timeout=SEEN_MS)
    assert page.evaluate("window.isTheSamePage")


@pytest.mark.usefixtures("signed_in")
def test_a_session_that_ended_elsewhere_is_told(browse):
    page = browse(signed_in=False)
    page.watch.allow("failed: 401 .*/feed")
    sign_in(page, "admin", PASSWORD)
    live(page)
    other = page.context.new_page()
    other.goto("/admin/")
    other.locator("#user-menu summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_load_state()
    expect(page.locator("#live")).to_contain_text("Signed out", timeout=SEEN_MS)
    page.get_by_role("link", name="Sign in again").click()
    page.wait_for_url("**/admin/login/?next=%2Fadmin%2F")


def test_the_api_is_tried_from_its_page(browse, service):
    page = browse()
    page.goto("/api/docs/")
    page.get_by_label("Filter").fill("post services")
    expect(page.locator(".api-operations li:visible")).to_have_count(1)
    page.get_by_role("link", name="Create service").click()
    body = '{"name": "From the page", "tier": "standard", "environment": "staging"}'
    page.get_by_role("textbox", name="Body").fill(body)
    expect(page.locator("[data-api-curl] code")).to_contain_text(f"-d '{body}'")
    page.get_by_role("button", name="Send POST").click()
    expect(page.locator(".api-status")).to_contain_text("201 Created")
    expect(page.locator(".api-answer")).to_contain_text('"name": "From the page"')

    page.goto("/api/docs/api_services_list/")
    page.watch.allow("failed: 401")
    for key, told in ((KEY, "200 OK"), ("wrong" * 10, "401 Unauthorized"), ("", "200 OK")):
        page.get_by_label("Dashboard key").fill(key)
        page.get_by_role("button", name="Send GET").click()
        expect(page.locator(".api-status")).to_contain_text(told)
    page.locator("#query-page_size").fill("1")
    page.get_by_role("button", name="Send GET").click()
    expect(page.locator(".api-answer")).to_contain_text("page_size=1")
