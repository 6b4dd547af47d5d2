"""A real Chromium: contexts that note every fault of a page, and what is judged on each page."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from opsplatform.testing import chromium

SCREENSHOTS = Path(__file__).resolve().parents[2] / "test-results" / "screenshots"
DESKTOP, PHONE, SMALL_PHONE = 1440, 390, 320
SWITCHES = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    # Without these, a browser looks for its maker's servers.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]

_HEAR_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`Policy: ${event.effectiveDirective} refused ${event.blockedURI}`));"""
_JUDGE = """async (rules) => {
  // What follows the size of the window does so in its next frame.
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
  const options = {resultTypes: ["violations"], runOnly: rules};
  const {violations} = await axe.run(document, options);
  return violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.target.join(" ")} ${node.html.slice(0, 120)}`));
}"""
# The controls that people hit. A link is as wide as its words; axe judges the room around it, and
# that around check boxes.
_SMALL = """() => [...document.querySelectorAll("button, summary, select, textarea, a.button, " +
  "nav a, input:not([type=hidden], [type=checkbox], [type=radio])")]
  .filter((element) => element.checkVisibility({visibilityProperty: true}))
  .map((element) => [element, element.getBoundingClientRect()])
  .filter(([element, box]) => box.width > 1 && box.right > 0 &&
    (box.height < 24 || (box.width < 24 && element.localName !== "a")))
  .map(([element, box]) =>
    `small: ${box.width}x${box.height} ${element.outerHTML.slice(0, 120)}`)"""
_WIDE = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const over = [...document.body.querySelectorAll("*")].filter((element) =>
    element.getBoundingClientRect().right > root.clientWidth + 1);
  return [`wide: ${root.scrollWidth} > ${root.clientWidth}: ${over.slice(0, 3).map((element) =>
    element.outerHTML.slice(0, 100)).join(" | ")}`];
}"""


@contextmanager
def launched():
    """Give the browser that the machine has, or None."""
    path = chromium.find()
    if path is None:
        yield None
        return
    # Chromium refuses its sandbox to root.
    switches = [*SWITCHES, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=switches)
        yield browser
        browser.close()


class Watch:
    """Notes what no page may do: errors, refusals of the policy, failures, foreign hosts."""

    def __init__(self, context, url):
        self.faults: list[str] = []
        self.requests: list[str] = []
        self._host = urlsplit(url).netloc
        self._allowed: list[re.Pattern[str]] = []
        context.add_init_script(_HEAR_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._note(f"error: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def allow(self, pattern):
        """Expect faults that match."""
        self._allowed.append(re.compile(pattern))

    def unexpected(self):
        """Return the faults that nobody expected."""
        return [
            fault
            for fault in self.faults
            if not any(pattern.search(fault) for pattern in self._allowed)
        ]

    def _note(self, fault):
        self.faults.append(fault)

    def _console(self, message):
        # The answer to a navigation is what a test asks for; a page's parts are judged below.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._note(f"console: {message.text}")

    def _request(self, request):
        parts = urlsplit(request.url)
        self.requests.append(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != self._host:
            self._note(f"foreign: {request.url}")

    def _response(self, response):
        if response.status >= 400 and not response.request.is_navigation_request():
            self._note(f"failed: {response.status} {response.url}")


def audit(page, *, rules=None):
    """Return what axe finds against WCAG 2.2 AA, or against some rules alone."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    wanted = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": TAGS}
    return page.evaluate(_JUDGE, wanted)


def layout(page):
    """Return controls that are too small to hit, and what makes the page scroll sideways."""
    return page.evaluate(_SMALL) + wide(page)


def wide(page):
    """Return what makes the page scroll sideways."""
    return page.evaluate(_WIDE)


def shoot(page, name, *, full_page=True):
    """Keep a picture of the page, or of what is seen of it now."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full_page)


def sign_in(page, name, password):
    """Sign in, as any form of the console does it."""
    page.goto("/admin/login/?next=/admin/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(password)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/login/" not in url)


def choose_password(page, old, new):
    """Fill in the page that a one-time password leads to."""
    page.locator("[name=old_password]").fill(old)
    page.locator("[name=new_password1]").fill(new)
    page.locator("[name=new_password2]").fill(new)
    page.locator("[name=new_password2]").press("Enter")
    page.wait_for_url(lambda url: "/password" not in url)
