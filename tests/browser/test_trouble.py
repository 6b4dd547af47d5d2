"""What the console does while the server is slow, away or loud, and while a person is busy."""

import json
import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.test_journeys import SEEN_MS, live

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

INCIDENT = "/admin/reliability/incident/1/change/"
UNANSWERED = "The server does not answer."
_TELL = """([name, details]) => details.forEach((detail) =>
  document.dispatchEvent(new CustomEvent(`ops:${name}`, { detail })))"""


def tell(page, name, *details):
    """Let a page hear something as if the live feed had said it."""
    page.evaluate(_TELL, [name, details])


def alert(seq, *, age=0):
    """Return an alert of some seconds ago."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))
    data = {"title": f"Alert {seq}", "severity": "critical", "status": "firing", "url": "/admin/"}
    return {
        "audience": "topic:alerts",
        "seq": 1_000_000 + seq,
        "kind": "alert",
        "data": data,
        "at": at,
    }


def _slowly(route):
    time.sleep(0.5)
    route.continue_()


def test_enter_opens_what_was_typed_and_not_what_was_found_before(browse):
    page = browse()
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()
    page.route("**/admin/palette?*", _slowly)
    page.keyboard.type("Warehouse")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/reliability/service/\d+/$"))
    expect(page.locator("h1")).to_have_text("Warehouse")


def test_the_palette_says_that_nobody_answers(browse):
    page = browse()
    page.watch.allow("ERR_")
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()
    page.route("**/admin/palette?*", lambda route: route.abort())
    page.keyboard.type("Warehouse")
    expect(page.locator(".palette [role=status]")).to_have_text(UNANSWERED)
    expect(page.get_by_role("option")).to_have_count(0)
    page.keyboard.press("Enter")
    page.unroute_all()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/reliability/service/\d+/$"))


def test_a_flood_of_alerts_leaves_the_page_in_view(browse):
    page = browse()
    page.goto("/admin/accounts/user/")
    live(page)
    tell(page, "event", alert(1, age=300))
    expect(page.locator("#toasts li")).to_have_count(0)
    tell(page, "event", *(alert(seq) for seq in range(2, 202)))
    toasts = page.locator("#toasts li")
    expect(toasts).to_have_count(5)
    more = toasts.last.get_by_role("link", name="and 196 more")
    expect(more).to_have_attribute("href", re.compile("/account/centre/$"))


def test_the_figure_beside_the_curve_is_live(browse):
    page = browse()
    page.goto("/admin/")
    expect(page.locator(".chart-now")).to_have_text(
        re.compile(r"^now [\d.,]+ ms$"), timeout=SEEN_MS
    )


def test_a_question_that_fails_is_asked_again(browse):
    page = browse()
    page.watch.allow("ERR_")
    page.goto(INCIDENT)
    resolve = page.locator("a[data-confirm][href$='/resolve/']")
    page.route("**/resolve/", lambda route: route.abort())
    resolve.click()
    expect(page.locator("#toasts")).to_contain_text(UNANSWERED)
    page.unroute_all()
    page.route("**/resolve/", _slowly)
    resolve.dblclick()
    expect(page.locator("dialog[open]")).to_have_count(1)
    expect(page.locator("[data-cancel]")).to_be_focused()
    expect(resolve).not_to_have_attribute("aria-busy", "true")


def test_an_answer_that_is_no_question_is_shown(browse):
    page = browse()
    page.watch.allow("failed: 503")
    told = {"status": 503, "content_type": "text/html"}
    refusal = "<title>Away</title><main><h1>Away</h1><p>Come back later.</p></main>"
    page.goto("/admin/notifications/notification/")
    page.locator("#result_list [name=_selected_action]").first.check()
    page.locator("[name=action]").select_option(index=1)
    asked = []

    def refuse(route):
        if route.request.method != "POST":
            return route.continue_()
        asked.append(route.request.url)
        return route.fulfill(body=refusal, **told)

    page.route("**/admin/notifications/notification/", refuse)
    page.locator("[name=index]").click()
    dialog = page.get_by_role("dialog", name="Away")
    expect(dialog).to_contain_text("Come back later.")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    assert len(asked) == 1

    page.goto(INCIDENT)
    page.route("**/resolve/", lambda route: route.fulfill(body=refusal, **told))
    page.locator("a[data-confirm][href$='/resolve/']").click()
    page.wait_for_url("**/resolve/")
    expect(page.get_by_role("heading", name="Away")).to_be_visible()


def test_what_a_person_writes_in_stays_and_is_not_asked_for_again_and_again(browse):
    page = browse()
    page.goto(INCIDENT)
    live(page)
    asked = []

    def changed(route):
        if "x-region" not in route.request.headers:
            return route.continue_()
        asked.append(time.monotonic())
        answer = route.fetch()
        return route.fulfill(
            response=answer,
            body=answer.text().replace('class="hero"', f'class="hero n{len(asked)}"'),
        )

    page.route(f"**{INCIDENT}", changed)
    page.evaluate(
        """() => { const field = document.createElement("input"); field.id = "draft";
        document.querySelector("[data-region=now]").append(field); field.focus(); }"""
    )
    page.keyboard.type("half a sen")
    news = {"audience": "topic:incidents", "seq": 1, "kind": "incident.changed", "data": {}}
    for seq in range(4):
        tell(page, "event", {**news, "seq": 2_000_000 + seq})
        page.wait_for_timeout(1_200)
    expect(page.locator("#draft")).to_have_value("half a sen")
    # Other parts of the page follow each event; the held one adds nothing to that.
    assert len(asked) <= 5
    quiet = len(asked)
    page.wait_for_timeout(2_000)
    assert len(asked) <= quiet + 1
    page.evaluate("document.activeElement.blur()")
    expect(page.locator("#draft")).to_have_count(0, timeout=SEEN_MS)


def test_the_bell_tries_again_and_other_tabs_learn_what_was_read(browse):
    page = browse()
    page.watch.allow("failed: 503")
    page.goto("/admin/accounts/user/")
    newest = page.request.get("/api/notifications/feed").json()["audiences"]["topic:alerts"]["seq"]
    other = page.context.new_page()
    other.goto("/admin/accounts/user/")
    for tab in (page, other):
        live(tab)
        tell(tab, "event", {**alert(0, age=300), "seq": newest + 1})
        expect(tab.locator("#bell .count")).to_be_visible()
    feed = "**/api/notifications/inbox?*"
    page.route(feed, lambda route: route.fulfill(status=503, body=json.dumps({})))
    page.locator("#bell summary").click()
    expect(page.locator("#bell [data-none]")).to_have_text("The notifications cannot be read now.")
    # What was not shown was not read.
    expect(other.locator("#bell .count")).to_be_visible()
    page.unroute_all()
    page.locator("#bell summary").click()
    page.locator("#bell summary").click()
    expect(other.locator("#bell .count")).to_be_hidden()
    row = page.locator("#bell .alerts li").first
    expect(row.locator(".badge")).to_have_text(
        re.compile("Critical|Resolved|Warning|Info|Done|Failed")
    )
    expect(row.locator("time")).to_be_visible()


def test_without_javascript_the_bell_is_a_link(browse):
    page = browse(java_script_enabled=False)
    page.goto("/admin/")
    page.get_by_role("link", name="Notifications").first.click()
    page.wait_for_url("**/account/centre/")


def test_a_lost_connection_is_told_in_words(browse):
    page = browse()
    page.goto("/admin/accounts/user/")
    live(page)
    state, said = page.locator("#live"), page.locator("#live [role=status]")
    tell(page, "state", {"state": "reconnecting", "reason": "4408"})
    words = re.compile(r"^Reconnecting since \d\d:\d\d\. What you see may be old\.$")
    expect(state).to_have_attribute("title", words)
    expect(said).to_be_empty()
    expect(said).to_have_text(words, timeout=10_000)
    tell(page, "state", {"state": "live", "reason": ""})
    expect(said).to_have_text("News arrive as they happen.")


# Two hours ahead, as the clock of a machine is that was set by hand.
_WRONG_CLOCK = """(() => {
  const ahead = 7200000, right = Date.now.bind(Date), origin = performance.timeOrigin;
  Date.now = () => right() + ahead;
  Object.defineProperty(performance, "timeOrigin", { value: origin + ahead });
})()"""


def test_a_wrong_clock_makes_no_news_old(browse):
    page = browse()
    page.context.add_init_script(_WRONG_CLOCK)
    page.goto("/admin/reliability/incident/1/change/")
    live(page)
    expect(page.locator("[data-region=timeline] time").first).to_have_text(
        re.compile("min ago|sec ago|now")
    )
    tell(page, "event", alert(1), alert(2, age=300))
    expect(page.locator("#toasts li")).to_have_count(1)
