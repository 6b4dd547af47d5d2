"""The notification centre and the page of live connections, as people see and use them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.feeds import publish
from tests.browser.test_journeys import SEEN_MS, live
from tests.browser.test_sweep import judge, tell, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CENTRE = "/account/centre/"
LINES = ".news.panel li"


def test_news_come_by_themselves_are_found_and_read(browse, platform):
    page = browse()
    page.goto(CENTRE)
    live(page)
    publish(platform, "topic:alerts", "Till answers slowly", severity="warning")
    publish(platform, "me", "You are on call", kind="message", reason="escalation")
    publish(platform, "me", "Uptime test done", kind="job.finished", ok=True, severity="")
    for title in ("Till answers slowly", "You are on call", "Uptime test done"):
        expect(page.locator(LINES, has_text=title)).to_have_count(1, timeout=SEEN_MS)
    expect(page.locator(LINES).first).to_contain_text("Uptime test done")
    expect(page.locator(LINES, has_text="You are on call")).to_contain_text("Sent to you:")
    faults = judge(page, "centre")

    kinds = page.get_by_role("navigation", name="Kinds")
    kinds.get_by_role("link", name="To you").click()
    expect(page.locator(LINES, has_text="You are on call")).to_have_count(1)
    expect(page.locator(LINES, has_text="Till answers slowly")).to_have_count(0)
    page.get_by_role("navigation", name="Severity").get_by_role("link", name="Warning").click()
    kinds.get_by_role("link", name=re.compile("^Alerts")).click()
    expect(page.locator(LINES, has_text="Till answers slowly")).to_have_count(1)
    page.get_by_role("button", name=re.compile("Mark all as read")).click()
    expect(page.locator("#toasts")).to_contain_text("counts as read")
    expect(page.locator(f"{LINES}.unread")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Mark all as read"))).to_have_count(0)
    page.get_by_role("link", name="Unread only").click()
    expect(page.locator(".empty")).to_contain_text("You have read everything")
    faults += judge(page, "centre-empty")
    page.get_by_role("link", name="Show everything").click()
    expect(page.locator(LINES).first).to_be_visible()
    tell(faults)


def test_older_and_newer_pages(browse, platform):
    publish(platform, "topic:alerts", *(f"Number {n}" for n in range(55)), status="resolved")
    page = browse()
    page.goto(CENTRE)
    expect(page.locator(LINES)).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(LINES).first).to_contain_text("Number 4")
    page.get_by_role("link", name="Newer").click()
    expect(page.locator(LINES)).to_have_count(50)
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)


def test_without_javascript_it_is_read_and_marked(browse, platform):
    publish(platform, "topic:alerts", "Read by hand")
    page = browse(java_script_enabled=False)
    page.goto(CENTRE)
    expect(page.locator(f"{LINES}.unread", has_text="Read by hand")).to_have_count(1)
    page.get_by_role("button", name=re.compile("Mark all as read")).click()
    expect(page.locator(f"{LINES}.unread")).to_have_count(0)


def test_the_page_of_live_connections(browse):
    page = browse()
    page.goto("/admin/accounts/user/")
    live(page)
    # Processes say every ten seconds what they hold.
    for _ in range(60):
        page.goto("/admin/live/")
        if (
            page.locator("table.data tbody tr").count()
            and not page.get_by_text("Nobody is connected.").count()
        ):
            break
        page.wait_for_timeout(1_000)
    expect(page.get_by_role("heading", name="Live connections")).to_be_visible()
    expect(page.locator(".card", has_text="Open now")).to_contain_text("of 1,000 at most")
    tell(visit(page, "/admin/live/", "live-connections"))
