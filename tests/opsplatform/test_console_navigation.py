"""The sidebar shows what a person may open, where they are, and what waits for them."""

import re

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.roles import ROLES
from notifications.models import Notification
from opsplatform.console import navigation
from reliability.models import Incident

pytestmark = pytest.mark.django_db

ADMIN = {
    "Overview": ["Dashboard"],
    "Reliability": [
        "Services",
        "Checks",
        "Heartbeats",
        "Objectives",
        "Incidents",
        "Alerts",
        "Maintenance",
        "Changes",
        "Uptime tests",
        "Results",
        "Reports of jobs",
        "State history",
        "Status page",
    ],
    "Access": [
        "Users",
        "Roles",
        "Sessions",
        "API keys",
        "Access reviews",
        "Audit log",
    ],
    "Notifications": [
        "Notification centre",
        "My notifications",
        "Queue",
        "Threads",
        "Silences",
        "Routes",
        "Escalation",
        "On call",
        "Channels",
        "Events",
    ],
    "Operate": ["Schedule", "Crontabs", "Intervals", "Fixed times"],
    "Keys and limits": ["Dashboard keys", "Console access", "Signing keys", "Revocations"],
    "System": ["Processes", "Live connections", "Leases", "API"],
}


def sidebar(user, path="/admin/"):
    request = RequestFactory().get(path)
    request.user = user
    return navigation.groups(request, admin.site.get_app_list(request))


def shown(user):
    return {group.title: [item.title for item in group.items] for group in sidebar(user)}


def make_incident(**fields):
    now = timezone.now()
    return Incident.objects.create(
        service_name="Shop", title="Shop is down", dedup_key="shop", started_at=now, **fields
    )


def test_an_admin_sees_all_in_the_designs_order(make_user):
    user = make_user(role="admin")
    assert shown(user) == ADMIN
    assert list(shown(user)) == list(ADMIN)


def test_an_operator_sees_no_settings_of_others(make_user):
    assert shown(make_user(role="operator")) == {
        "Overview": ["Dashboard"],
        "Reliability": ADMIN["Reliability"],
        "Notifications": [name for name in ADMIN["Notifications"] if name != "Channels"],
        "System": ["Processes", "Live connections", "Leases", "API"],
    }


def test_who_may_see_nothing_gets_the_dashboard_and_the_description(make_user):
    assert shown(make_user(role="analyst")) == {
        "Overview": ["Dashboard"],
        "Reliability": ["Objectives"],
        "Notifications": ["Notification centre", "My notifications"],
        "System": ["API"],
    }


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"user"}))
def test_every_link_opens_for_whom_it_is_shown(console, make_user, role):
    user = make_user(role=role)
    client = console(user)
    for group in sidebar(user):
        for item in group.items:
            if item.title != "Dashboard":
                assert client.get(item.href).status_code == 200, item


def test_a_list_that_stands_in_no_table_appears_under_system(make_user, monkeypatch):
    monkeypatch.setattr(
        navigation,
        "GROUPS",
        (("System", (navigation.Page("Leases", "core.lease"),)),),
    )
    titles = shown(make_user(role="admin"))["System"]
    assert titles[0] == "Leases"
    assert "Services" in titles


def test_the_current_page_is_marked_on_lists_and_below(console, make_user):
    client = console(make_user(role="admin"))
    for name in ("changelist", "add"):
        page = client.get(reverse(f"admin:reliability_service_{name}")).content.decode()
        marked = re.findall(r'<a href="([^"]+)" aria-current="page">(\w+)', page)
        assert marked == [(reverse("admin:reliability_service_changelist"), "Services")]


def test_the_dashboard_is_current_only_on_itself(make_user):
    user = make_user(role="admin")
    assert sidebar(user)[0].items[0].is_current
    assert not sidebar(user, "/admin/reliability/check/")[0].items[0].is_current


def test_open_incidents_and_dead_messages_are_counted(make_user):
    make_incident()
    make_incident(state="resolved", resolved_at=timezone.now())
    badges = {
        item.title: (item.badge, item.badge_label)
        for group in sidebar(make_user(role="operator"))
        for item in group.items
        if item.badge_label
    }
    assert badges == {
        "Incidents": ("1", "open"),
        "Queue": ("", "dead"),
        "Threads": ("", "not acknowledged"),
    }


def test_a_count_ends_at_ninety_nine(make_user):
    now = timezone.now()
    Incident.objects.bulk_create(
        Incident(service_name="Shop", title="Down", dedup_key=str(number), started_at=now)
        for number in range(120)
    )
    found = [
        item.badge
        for group in sidebar(make_user(role="operator"))
        for item in group.items
        if item.title == "Incidents"
    ]
    assert found == ["99+"]


def test_counts_cost_a_bounded_query_each(make_user, django_assert_num_queries):
    user = make_user(role="admin")
    user.get_all_permissions()
    with django_assert_num_queries(5) as queries:
        sidebar(user)
    # Four counts, and whether a silence holds.
    limits = [query["sql"].partition("LIMIT ")[2].split()[0] for query in queries.captured_queries]
    assert sorted(limit.rstrip(")") for limit in limits) == ["1", "100", "100", "100", "100"]
    assert Notification.objects.count() == 0
