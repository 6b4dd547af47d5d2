"""The dashboard: what it shows to whom, how it stays small, and what an empty one offers."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.roles import ROLES
from core.actors import Actor
from notifications.models import Channel, Notification
from opsplatform.console import attention
from reliability.models import Check, CheckState, Incident, Service, StateSegment
from reliability.services import catalogue, uptime_tests

pytestmark = pytest.mark.django_db

OPERATOR = Actor.command("test")
BLOCKS = {
    ">Services</h2>": "reliability.view_service",
    ">Open incidents</h2>": "reliability.view_incident",
    "data-chart": "reliability.view_sample",
    ">Last messages</h2>": "notifications.view_notification",
    ">Uptime test</h2>": "reliability.view_uptimetest",
    "Run all checks now": "reliability.run_uptimetest",
    ">Platform</span>": "observability.view_health",
    ">Objectives</span>": "reliability.view_slo",
}


@pytest.fixture(autouse=True)
def _ready(monkeypatch):
    """Leave out the processes of a platform, which do not run here."""
    monkeypatch.setattr(attention, "health", list)


def add_services(count, state="up"):
    """Add services with a check each, in few statements."""
    now = datetime.now(UTC)
    before = Service.objects.count()
    services = Service.objects.bulk_create(
        Service(name=f"{state} {before + number:05d}") for number in range(count)
    )
    checks = Check.objects.bulk_create(
        Check(service=service, url="http://127.0.0.1:9/") for service in services
    )
    CheckState.objects.bulk_create(
        CheckState(check_of=check, state=state, since=now, last_at=now, last_code=200, last_ms=10)
        for check in checks
    )
    StateSegment.objects.bulk_create(
        StateSegment(check_of=check, standing="up", started_at=now - timedelta(hours=1))
        for check in checks
    )
    return services


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"user"}))
def test_each_part_is_for_who_may_see_it(console, make_user, role):
    add_services(2)

    page = console(make_user(role=role)).get("/admin/").content.decode()

    shown = {block for block in BLOCKS if block in page}
    assert shown == {block for block, needed in BLOCKS.items() if needed in ROLES[role]}
    assert ("Nothing of this platform is open to you yet" in page) == (not ROLES[role])


def test_whoever_may_see_nothing_learns_how_to_get_further(console, make_user):
    page = console(make_user(is_staff=True)).get("/admin/").content.decode()

    assert "Nothing of this platform is open to you yet" in page
    assert "card-value" not in page


def test_the_worst_come_first_and_are_named_in_the_banner(console, make_user):
    add_services(3)
    (down,) = add_services(1, "down")
    add_services(1, "degraded")

    page = console(make_user(role="manager")).get("/admin/").content.decode()

    assert f"{down.name} is down" in page
    order = [page.index(f'title="{word} ') for word in ("down", "degraded", "up")]
    assert order == sorted(order)
    assert "3 of 5" in page


def test_old_results_make_a_service_unknown(console, make_user):
    (service,) = add_services(1)
    CheckState.objects.update(last_at=datetime.now(UTC) - timedelta(hours=1))

    page = console(make_user(role="manager")).get("/admin/").content.decode()

    assert "0 of 1" in page
    assert "1 unknown" in page
    assert service.name in page


def test_an_empty_platform_offers_first_steps(console, make_user):
    page = console(make_user(role="admin")).get("/admin/").content.decode()

    assert ">First steps</h2>" in page
    assert page.index("First steps") < page.index(">Services</h2>")
    for step in ("Add a service", "Say who is told", "Send a test", "Name a second admin"):
        assert step in page
    assert "None yet" in page


def test_the_platforms_own_service_leaves_it_empty(console, make_user):
    from reliability.services.self_check import ensure_self_check

    ensure_self_check()

    assert "First steps" in console(make_user(role="admin")).get("/admin/").content.decode()


def test_steps_that_are_done_go_away(console, make_user):
    add_services(1)
    make_user(role="admin")
    Channel.objects.create(
        kind="webhook", name="ops", target="x", config={}, last_ok_at=datetime.now(UTC)
    )

    page = console(make_user(role="admin")).get("/admin/").content.decode()

    assert "First steps" not in page
    assert "Next steps" not in page


def test_steps_are_for_who_may_take_them(console, make_user):
    page = console(make_user(role="engineer")).get("/admin/").content.decode()

    assert "Add a service" in page
    assert "Name a second admin" not in page


def test_what_needs_attention_is_told_with_its_place(console, make_user):
    catalogue.create_service(actor=OPERATOR, name="Bare")
    Channel.objects.create(
        kind="webhook", name="Pager", target="x", config={}, last_error="HTTP 500"
    )
    Notification.objects.create(
        thread_key="t",
        seq=1,
        severity="critical",
        priority=0,
        reason="first",
        title="Lost",
        channel_name="Pager",
        payload={},
        idempotency_key="k",
        state="dead",
        last_error="refused",
        expires_at=datetime.now(UTC),
    )

    page = console(make_user(role="admin")).get("/admin/").content.decode()

    assert "1 service has no check that is on" in page
    assert "?watched=no" in page
    assert "Channel Pager" in page
    assert "1 message could not be delivered" in page


def test_channels_are_not_told_to_whoever_may_not_see_them(console, make_user):
    Channel.objects.create(kind="webhook", name="Pager", target="x", config={}, last_error="no")

    assert "Pager" not in console(make_user(role="manager")).get("/admin/").content.decode()


def test_an_open_incident_leads_to_its_page(console, make_user, sent):
    (service,) = add_services(1, "down")
    incident = Incident.objects.create(
        service=service,
        service_name=service.name,
        title="Shop is down",
        dedup_key="x",
        started_at=datetime.now(UTC),
    )

    page = console(make_user(role="manager")).get("/admin/").content.decode()

    assert f"/admin/reliability/incident/{incident.pk}/change/" in page
    assert "1 not acknowledged" in page


def test_the_last_test_is_followed_while_it_runs(console, make_user, sent):
    add_services(1)
    test = uptime_tests.request(actor=OPERATOR)
    client = console(make_user(role="manager"))

    assert "data-busy" in client.get("/admin/").content.decode()
    uptime_tests.cancel(actor=OPERATOR, test_id=str(test.pk))

    assert "data-busy" not in client.get("/admin/").content.decode()


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>",
        "x" * 120,
        "\u05e9\u05dc\u05d5\u05dd \u0639\u0631\u0628\u064a",
        "\"' onclick=alert(1) {{ 7 }} {% now %}",
    ],
)
def test_hostile_names_stay_text(console, make_user, name):
    catalogue.create_service(actor=OPERATOR, name=name)

    page = console(make_user(role="admin")).get("/admin/").content.decode()

    assert "<img src=x" not in page
    assert '" onclick' not in page


def test_home_costs_the_same_with_ten_and_with_a_hundred_services(console, make_user):
    client = console(make_user(role="admin"))
    client.get("/admin/")
    counts = []
    for more in (10, 90):
        add_services(more)
        add_services(2, "down")
        with CaptureQueriesContext(connection) as queries:
            client.get("/admin/")
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_ten_thousand_services_are_summed_up(console, make_user):
    add_services(9_990)
    add_services(10, "down")

    answer = console(make_user(role="admin")).get("/admin/")

    page = answer.content.decode()
    assert "9,990 of 10,000" in page
    assert "10 services are down" in page
    assert "9960 more" in page or "9,960 more" in page
    assert len(answer.content) < 50_000


def test_looking_changes_nothing(console, make_user):
    from audit.models import AuditRecord

    add_services(1)
    client = console(make_user(role="admin"))
    before = AuditRecord.objects.count(), User.objects.get(username="person1").last_login

    client.get("/admin/")

    assert (AuditRecord.objects.count(), User.objects.get().last_login) == before


def test_a_count_that_stops_says_so(console, make_user, monkeypatch):
    monkeypatch.setattr(attention, "_MOST_COUNTED", 2)
    for number in range(3):
        catalogue.create_service(actor=OPERATOR, name=f"Bare {number}")

    page = console(make_user(role="admin")).get("/admin/").content.decode()

    assert "2+ services have no check that is on" in page
