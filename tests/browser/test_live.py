"""What happens reaches an open page: live, after a restart, and where no socket comes through."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import watch
from tests.browser.feeds import heard, note, publish
from tests.browser.test_journeys import SEEN_MS, live
from tests.support.platform import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ALERTS = "topic:alerts"
# Five failures in a row, each with its pause, come before a page begins to ask.
POLLING_MS = 90_000


def test_an_incident_arrives_live_and_a_restart_loses_and_repeats_nothing(
    browse, platform, make_service
):
    web = make_service()
    name = f"Depot {web.port}"
    watch(platform, name, web.url)
    page = browse()
    page.watch.allow("WebSocket connection to")
    page.watch.allow("ERR_CONNECTION")
    page.goto("/account/centre/")
    live(page)
    note(page)
    page.evaluate("window.isTheSamePage = true")
    web.stop()
    line = page.locator(".news.panel li", has_text=name).first
    expect(line).to_be_visible(timeout=SEEN_MS)
    expect(line.locator(".badge")).to_have_text("Critical")
    expect(line.get_by_role("link").first).to_have_attribute(
        "href", re.compile(r"/admin/reliability/incident/\d+/change/$")
    )
    first = min(seq for seq, _ in heard(page, ALERTS))

    server = platform.child("web")
    server.suspend()
    try:
        # Another process tells meanwhile what this one cannot pass on.
        meanwhile = publish(platform, ALERTS, *(f"Meanwhile {name} {n}" for n in range(20)))
    finally:
        server.kill()
    expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting", timeout=SEEN_MS)
    live(page)
    wait_until(
        lambda: (meanwhile[-1], "alert") in heard(page, ALERTS) or page.wait_for_timeout(100),
        seconds=60,
        what="what was missed",
    )
    after = publish(platform, ALERTS, f"Afterwards {name}")
    wait_until(
        lambda: (after[0], "alert") in heard(page, ALERTS) or page.wait_for_timeout(100),
        seconds=60,
        what="what came afterwards",
    )
    seqs = [seq for seq, _ in heard(page, ALERTS)]
    assert seqs == list(range(first, after[0] + 1))
    shown = page.locator(".news.panel li", has_text=f"Meanwhile {name} 19")
    expect(shown).to_have_count(1, timeout=SEEN_MS)
    assert page.evaluate("window.isTheSamePage")
    web.start()


def test_where_no_socket_comes_through_news_are_asked_for_and_read(browse, platform):
    page = browse()
    page.route_web_socket(re.compile("/ws/notifications"), lambda socket: socket.close())
    page.goto("/admin/accounts/user/")
    note(page)
    state = page.locator("#live")
    expect(state).to_have_attribute("data-state", "polling", timeout=POLLING_MS)
    expect(state).to_have_attribute("title", re.compile("News are asked for every 15 seconds"))
    (seq,) = publish(platform, ALERTS, "Without a socket")
    expect(page.locator("#toasts")).to_contain_text("Without a socket", timeout=SEEN_MS)
    assert (seq, "alert") in heard(page, ALERTS)
    expect(page.locator("#bell .count")).to_be_visible()

    with page.expect_response("**/api/notifications/feed/read") as answer:
        page.locator("#bell summary").click()
    assert answer.value.ok
    expect(page.locator("#bell .alerts li").first).to_contain_text("Without a socket")
    expect(page.locator("#bell .count")).to_be_hidden()

    def is_read():
        told = page.request.get("/api/notifications/feed").json()["audiences"][ALERTS]
        return told["read"] >= seq

    wait_until(is_read, what="what was read")


def test_what_is_sent_to_a_person_is_told_once_and_counted(browse, platform):
    page = browse()
    page.goto("/admin/accounts/user/")
    live(page)
    publish(platform, "me", "Press stands still", kind="message", reason="escalation")
    toast = page.locator("#toasts li", has_text="Press stands still")
    expect(toast).to_have_count(1, timeout=SEEN_MS)
    expect(page.locator("#bell .count")).to_be_visible()
    # The same news as an alert of everybody.
    note(page)
    (seq,) = publish(platform, ALERTS, "Press stands still")
    wait_until(
        lambda: (seq, "alert") in heard(page, ALERTS) or page.wait_for_timeout(100),
        seconds=60,
        what="the alert",
    )
    expect(toast).to_have_count(1)
    page.locator("#bell summary").click()
    rows = page.locator("#bell .alerts li", has_text="Press stands still")
    expect(rows).to_have_count(2)
    expect(page.locator("#bell .count")).to_be_hidden()
    expect(page.locator("#bell summary")).to_have_attribute("aria-label", "Notifications")
