"""The form of a heartbeat shows what its rhythm needs, and all of it without scripts."""

import pytest

pytestmark = pytest.mark.browser

PATH = "/admin/reliability/heartbeat/add/"
OWN = ("period_seconds", "cron", "time_zone", "grace_seconds")


def shown(page):
    return [name for name in OWN if page.locator(f"#id_{name}").is_visible()]


def test_each_rhythm_shows_its_own_fields(browse):
    page = browse()
    page.goto(PATH)

    assert shown(page) == ["period_seconds", "grace_seconds"]
    page.select_option("#id_schedule", "cron")
    assert shown(page) == ["cron", "time_zone", "grace_seconds"]


def test_without_javascript_every_rhythm_is_there(browse):
    page = browse(java_script_enabled=False)
    page.goto(PATH)

    assert shown(page) == list(OWN)
