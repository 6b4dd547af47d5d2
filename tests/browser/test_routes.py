"""Routes and silences in a real browser: rows of conditions, with and without scripts."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROUTES = "/admin/notifications/route/"
SILENCES = "/admin/notifications/silence/"


def fill_row(page, number, field, op, value):
    page.fill(f"[name=matchers-{number}-field]", field)
    page.select_option(f"[name=matchers-{number}-op]", op)
    page.fill(f"[name=matchers-{number}-values]", value)


def add_route(page, name, rows):
    page.goto(f"{ROUTES}add/")
    page.fill("#id_name", name)
    for number, row in enumerate(rows):
        if page.locator(f"[name=matchers-{number}-field]").count() == 0:
            page.get_by_role("button", name="Add a condition").click()
        fill_row(page, number, *row)
    page.locator("#id_channels input[type=checkbox]").first.check()
    with page.expect_navigation():
        page.locator("[name=_save]").click()
    assert page.url.endswith(ROUTES)


def order(page):
    return [text.strip() for text in page.locator(".routes h2 a").all_inner_texts()]


def remove(page, name):
    page.goto(ROUTES)
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_role("link", name="Delete").click()
    page.locator("dialog[open] [type=submit]").click()
    expect(page).to_have_url(re.compile(rf"{ROUTES}$"))


def test_a_route_is_made_moved_tried_and_removed(browse):
    page = browse()
    add_route(
        page,
        "Three conditions",
        [
            ("service", "in", "Shop, Billing"),
            ("severity", "!=", "info"),
            ("label.team", "prefix", "pay"),
        ],
    )
    expect(page.locator(".routes")).to_contain_text(
        "When service is one of Shop or Billing and severity is not info and label team begins "
        "with pay."
    )
    add_route(page, "Second", [("service", "=", "Warehouse")])
    assert order(page)[:2] == ["Three conditions", "Second"]

    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("^Up.*Second")).click()
    assert order(page)[:2] == ["Second", "Three conditions"]

    page.get_by_role("link", name="What would happen").click()
    page.get_by_label("Service").fill("Warehouse")
    with page.expect_navigation():
        page.get_by_role("button", name="Try it").click()
    taken = page.locator(".verdicts li", has_text="Takes it")
    expect(taken).to_have_count(1)
    expect(taken).to_contain_text("Second")

    remove(page, "Second")
    remove(page, "Three conditions")
    assert not {"Second", "Three conditions"} & set(order(page))


def test_without_javascript_two_empty_rows_stand_ready(browse):
    page = browse(java_script_enabled=False)
    page.goto(f"{ROUTES}add/")

    assert page.locator(".matcher").count() == 2
    assert page.get_by_role("button", name="Add a condition").count() == 0
    fill_row(page, 0, "service", "=", "Shop")
    fill_row(page, 1, "severity", "=", "critical")
    with page.expect_navigation():
        page.locator("[name=_save]").click()  # the name is missing still

    assert page.locator(".matcher").count() == 4
    assert page.input_value("[name=matchers-1-values]") == "critical"


def test_rows_end_where_the_engine_ends(browse):
    page = browse()
    page.goto(f"{ROUTES}add/")
    button = page.get_by_role("button", name="Add a condition")

    for _ in range(18):
        button.click()

    assert page.locator(".matcher").count() == 20
    expect(button).to_be_hidden()
    names = page.locator(".matcher [name$=-field]").evaluate_all("all => all.map(one => one.name)")
    assert names == [f"matchers-{number}-field" for number in range(20)]


def test_a_silence_shows_what_it_means_before_it_holds(browse):
    page = browse()
    page.goto(f"{SILENCES}add/")
    fill_row(page, 0, "service", "=", "Warehouse")
    page.fill("#id_comment", "Move of the shelves")

    with page.expect_navigation():
        page.locator("[name=_preview]").click()
    expect(page.locator("#content")).to_contain_text("Nothing is silenced yet.")
    expect(page.locator("#content")).to_contain_text("that holds now matches")

    with page.expect_navigation():
        page.locator("[name=_save]").click()
    expect(page.get_by_role("heading", name="Move of the shelves")).to_be_visible()
    page.get_by_role("link", name="End it now").click()
    with page.expect_navigation():
        page.locator("dialog[open]").get_by_role("button", name="End it now").click()
    expect(page.locator(".hero")).to_contain_text("Over")
