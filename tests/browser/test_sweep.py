"""Every page of the console: accessible, within the policy, in both themes, on desk and phone."""

import re

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD
from tests.support.browser import (
    DESKTOP,
    PHONE,
    audit,
    choose_password,
    layout,
    shoot,
    sign_in,
    wide,
)
from tests.support.platform import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# What depends on the theme; everything else is the same in both.
_COLOURS = ["color-contrast", "link-in-text-block"]
# Where one layout gives way to the next.
_BETWEEN = (768, 1024)


def judge(page, name):
    """Return what is wrong with a page in both themes and widths; keep a picture of each."""
    faults = []
    for width in (DESKTOP, PHONE):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found = audit(page, rules=_COLOURS if theme == "dark" else None)
            if theme == "light":
                found += layout(page)
            faults += [f"{name} {width} {theme} {fault}" for fault in found]
            shoot(page, f"{name}-{theme}-{width}")
    for width in _BETWEEN:
        page.set_viewport_size({"width": width, "height": 900})
        faults += [f"{name} {width} {fault}" for fault in wide(page)]
    return faults


def visit(page, path, name, *, status=200):
    """Open a page as a person would, and judge it."""
    page.set_viewport_size({"width": DESKTOP, "height": 900})
    answer = page.goto(path)
    assert answer.status == status, path
    return judge(page, name)


def tell(faults):
    """Fail with one fault a line."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


# Pages of a list that are no rows of it.
NO_ROWS = {"add", "run", "new", "deny", "allow", "timeline", "try", "verification"}


def _first_row(page, model):
    base = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    pattern = re.compile(rf"^{re.escape(base)}([^/?]+)/")
    for link in page.locator(f"main a[href^='{base}'], #content a[href^='{base}']").all():
        if (found := pattern.match(link.get_attribute("href"))) and found[1] not in NO_ROWS:
            return f"{base}{found[1]}/"
    return None


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_pages_of_a_model(browse, model):
    page = browse()
    label = model._meta.label_lower
    base = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    faults = visit(page, base, f"{label}-list")
    row = _first_row(page, model)
    has_page = page.locator(f"#content a[href='{row}']").count() > 0
    if page.locator(f"a[href^='{base}add/']").count():
        faults += visit(page, f"{base}add/", f"{label}-add")
    if has_page:
        faults += visit(page, row, f"{label}-page")
    if row is not None:
        faults += visit(page, f"{row}change/", f"{label}-change")
        links = page.locator("#content a").evaluate_all("links => links.map(link => link.href)")
        for part in ("delete", "history"):
            if any(f"/{part}/" in link for link in links):
                faults += visit(page, f"{row}{part}/", f"{label}-{part}")
    tell(faults)


@pytest.mark.parametrize(
    ("path", "name", "status"),
    [
        ("/admin/", "home", 200),
        ("/admin/reliability/", "app", 200),
        ("/account/password/", "password-change", 200),
        ("/account/mfa/", "second-factor", 200),
        ("/account/", "account", 200),
        ("/account/sessions/", "account-sessions", 200),
        ("/account/keys/", "account-keys", 200),
        ("/account/keys/new/", "account-keys-new", 200),
        ("/admin/accounts/denieddashkey/new/", "dashboard-key-new", 200),
        ("/admin/audit/auditrecord/verification/", "audit-verification", 200),
        (
            "/admin/audit/auditrecord/timeline?actor_kind=system&actor=system",
            "audit-timeline",
            200,
        ),
        ("/admin/no/such/page/", "not-found", 404),
        ("/admin/core/lease/add/", "forbidden", 403),
        ("/admin/notifications/route/try/?event=1", "route-try", 200),
        ("/admin/notifications/silence/add/?event=1", "silence-of-event", 200),
        ("/admin/reliability/incident/1/resolve/", "incident-resolve", 200),
        ("/api/docs/", "api", 200),
        ("/api/docs/api_services_create/", "api-create", 200),
        ("/api/docs/api_notifications_list/", "api-list", 200),
    ],
)
def test_pages_of_the_site(browse, path, name, status):
    tell(visit(browse(), path, name, status=status))


def _both_themes(page, name):
    """Return what is wrong with a page as it stands now."""
    faults = layout(page)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        faults += [f"{theme} {fault}" for fault in audit(page)]
        shoot(page, f"{name}-{theme}", full_page=False)
    return [f"{name} {fault}" for fault in faults]


def test_what_opens_over_a_page(browse):
    page = browse()
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()
    faults = _both_themes(page, "open-palette")
    page.keyboard.press("Escape")
    for name in ("bell", "user-menu"):
        page.locator(f"#{name} summary").click()
        faults += _both_themes(page, f"open-{name}")
        page.keyboard.press("Escape")
    page.goto("/admin/reliability/incident/1/change/")
    page.locator("a[data-confirm]").first.click()
    expect(page.locator("dialog[open]")).to_be_visible()
    faults += _both_themes(page, "open-dialog")

    page.goto("/api/docs/api_services_list/")
    page.get_by_role("button", name="Send GET").click()
    expect(page.locator(".api-answer")).to_be_visible()
    faults += _both_themes(page, "open-answer")

    page.set_viewport_size({"width": PHONE, "height": 900})
    page.goto("/admin/")
    page.get_by_role("link", name="Menu").click()
    expect(page.locator("dialog[open]")).to_be_visible()
    faults += _both_themes(page, "open-menu")
    tell(faults)


def test_the_components(browse, tmp_path):
    with Platform(tmp_path / "data", OPS_DEBUG="1", OPS_RATE_LIMIT="1000000") as running:
        page = browse(signed_in=False, url=running.url)
        sign_in(page, "admin", running.password)
        choose_password(page, running.password, PASSWORD)
        faults = visit(page, "/admin/components/", "components")
        # A page that outlives its server complains.
        page.context.close()
    tell(faults)


@pytest.mark.usefixtures("signed_in")
def test_pages_for_nobody(browse):
    page = browse(signed_in=False)
    faults = visit(page, "/admin/login/", "login")
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    faults += judge(page, "login-refused")
    sign_in(page, "admin", PASSWORD)
    page.locator("#user-menu summary").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    faults += judge(page, "signed-out")
    tell(faults)
