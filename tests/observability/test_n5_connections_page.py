"""The page of live connections says what the web processes report."""

import re

import pytest

from tests.observability.test_n5_stats import report

pytestmark = pytest.mark.django_db

PAGE = "/admin/live/"
TEXT = re.compile(r"<[^>]+>")


def words(answer):
    return re.sub(r"\s+", " ", TEXT.sub(" ", answer.content.decode()))


def test_it_tells_what_is_open_how_fast_and_why_some_left(console, make_user):
    report(1)
    report(2, open=3, roles={"operator": 3}, closed={"1001": 1, "4408": 2})
    report(3, age=60)

    answer = console(make_user(role="auditor")).get(PAGE)

    said = words(answer)
    assert answer.status_code == 200
    assert "Open now 5 of 1,000 at most" in said
    assert "Frames sent 200 12 wait; 6 figures gave way" in said
    assert "Commit to send, p95 80.0 ms" in said
    assert "4408 2 Two heartbeats were not answered: a dead connection was removed." in said
    assert "operator 4" in said
    assert said.count("a 1 ") == said.count("a 2 ") == 1
    assert "a 3 " not in said
    assert "raise WS_MAX_CONNECTIONS" not in said


def test_nearly_full_says_what_to_do(console, make_user, settings):
    settings.WS_MAX_CONNECTIONS = 2
    report(1)

    said = words(console(make_user(role="admin")).get(PAGE))

    assert "of 2 at most; raise WS_MAX_CONNECTIONS" in said


def test_without_any_process_and_switched_off(console, make_user, settings):
    settings.WS_ENABLED = False

    said = words(console(make_user(role="admin")).get(PAGE))

    assert "No web process has reported in the last half minute." in said
    assert "Set WS_ENABLED=true and restart" in said


def test_who_may_not_see_health_is_refused_and_not_led_there(console, make_user):
    client = console(make_user(role="user"))
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE).status_code == 405
