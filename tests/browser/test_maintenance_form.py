"""The form of maintenance shows what its kind of repeat needs, and all of it without scripts."""

import pytest

pytestmark = pytest.mark.browser

PATH = "/admin/reliability/maintenancewindow/add/"
ALWAYS = {"repeat", "starts_at", "time_zone", "duration_minutes", "reason"}
AGAIN = {"until", "count"}
NEEDS = {
    "once": set(),
    "daily": {*AGAIN, "every"},
    "weekly": {*AGAIN, "every", "on_weekdays"},
    "monthly": {*AGAIN, "every", "on_month_days"},
    "cron": {*AGAIN, "cron"},
}
ALL = set.union(*NEEDS.values())


def shown(page):
    """Return which fields can be seen; dates are one input without scripts, and two with them."""
    return {name for name in ALL | ALWAYS if is_shown(page, name)}


def is_shown(page, name):
    inputs = page.locator(f"#id_{name}, #id_{name}_0").all()
    return any(element.is_visible() for element in inputs)


def test_each_kind_shows_its_own_fields(browse):
    page = browse()
    page.goto(PATH)

    assert shown(page) == ALWAYS
    for kind, names in NEEDS.items():
        page.select_option("#id_repeat", kind)
        assert (kind, shown(page)) == (kind, ALWAYS | names)


def test_without_javascript_everything_is_there(browse):
    page = browse(java_script_enabled=False)
    page.goto(PATH)

    assert shown(page) == ALWAYS | ALL


def test_what_is_wrong_is_shown_whatever_the_kind(browse):
    page = browse()
    page.goto(PATH)
    page.select_option("#id_repeat", "cron")
    page.fill("#id_cron", "never")
    page.fill("#id_title", "New disks")
    page.select_option("#id_repeat", "daily")
    assert "cron" not in shown(page)

    page.click("[name=_save]")

    page.wait_for_load_state()
    assert page.url.endswith(PATH)
    assert {"cron", "every"} <= shown(page)
    assert page.locator(".errorlist").count() > 0
