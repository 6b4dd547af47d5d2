"""What strangers see of the services, and what they never see."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from audit.services.acts import unwatched
from reliability.models import (
    CheckState,
    Incident,
    IncidentEvent,
    MaintenanceOccurrence,
    MaintenanceWindow,
    Service,
    StateSegment,
)
from reliability.pages import status
from reliability.selectors import status as read

SECRET_URL = "https://internal.example.com/health?token=tell-nobody"


@pytest.fixture(autouse=True)
def _no_copies(settings, tmp_path):
    settings.OPS_DATA_DIR = tmp_path
    status.copies.forget()
    yield
    status.copies.forget()


@pytest.fixture
def shop(make_service, make_check):
    service = make_service("shop-backend-7", is_public=True, public_name="Shop", owner="Ann Smith")
    make_check(SECRET_URL, service=service, name="secret-check")
    return service


def stands(service, state, **more):
    """Let the checks of a service have said something just now."""
    CheckState.objects.filter(check_of__service=service).update(
        state=state, last_at=timezone.now(), last_detail="secret-detail", **more
    )


def had(service, **fields):
    """Give a service an incident, past its service."""
    at = fields.pop("started_at", timezone.now() - timedelta(hours=2))
    values = {
        "dedup_key": f"availability:{Incident.objects.count()}",
        "title": f"secret-title {SECRET_URL}",
        "detail": "secret-detail",
        "excerpt": "secret-excerpt",
        "started_at": at,
        **fields,
    }
    with unwatched("set-up of a test"):
        return Incident.objects.create(service=service, service_name=service.name, **values)


def rests(*services, **fields):
    now = timezone.now()
    begin = fields.pop("starts_at", now - timedelta(minutes=10))
    length = fields.pop("length", timedelta(hours=1))
    with unwatched("set-up of a test"):
        window = MaintenanceWindow.objects.create(
            starts_at=begin,
            duration_seconds=length.total_seconds(),
            **{"title": "Move", "declared_by": "ann", **fields},
        )
        window.services.set(services)
        MaintenanceOccurrence.objects.create(window=window, starts_at=begin, ends_at=begin + length)
    return window


def test_without_public_services_the_page_says_so(client, make_service):
    make_service("Hidden")

    answer = client.get("/status/")

    assert answer.status_code == 200
    text = answer.content.decode()
    assert "No service is shown here yet." in text
    assert "Hidden" not in text


def test_only_public_names_and_states_are_told(client, shop, make_service):
    make_service("Ledger")
    stands(shop, "down")
    incident = had(shop)
    IncidentEvent.objects.create(
        incident=incident, kind="note", actor_kind="user", actor_name="ann", text="secret-note"
    )
    IncidentEvent.objects.create(
        incident=incident, kind="update", actor_kind="user", actor_name="ann", text="We are on it."
    )

    pages = [client.get(path) for path in ("/status/", "/status/history/", "/status/feed.atom")]

    assert [page.status_code for page in pages] == [200, 200, 200]
    for page in pages:
        text = page.content.decode()
        assert "Shop: outage" in text
        assert "We are on it." in text
        for secret in ("secret-", "token", "internal.example.com", "shop-backend", "Ledger", "nn "):
            assert secret not in text, secret


def test_control_characters_do_not_end_the_feed(client, shop):
    had(shop)
    now = timezone.now()
    window = MaintenanceWindow.objects.create(
        title="Work\x07", description="d \x01\x1b\ufffe end", starts_at=now, duration_seconds=60
    )
    MaintenanceOccurrence.objects.create(
        window=window, starts_at=now, ends_at=now + timedelta(minutes=1)
    )

    answer = client.get("/status/feed.atom")

    assert answer.status_code == 200
    assert b"d     end" in answer.content
    assert b"Maintenance: Work " in answer.content


def test_texts_of_updates_are_escaped(client, shop):
    incident = had(shop)
    IncidentEvent.objects.create(
        incident=incident,
        kind="update",
        actor_kind="user",
        actor_name="ann",
        text="<script>alert(1)</script>",
    )

    for path in ("/status/", "/status/feed.atom"):
        assert b"<script" not in client.get(path).content


@pytest.mark.parametrize(
    ("state", "word", "overall"),
    [
        ("up", "Operational", "All services are operational"),
        ("suspect", "Operational", "All services are operational"),
        ("degraded", "Degraded", "1 service is degraded"),
        ("down", "Outage", "1 service has an outage"),
        ("recovering", "Outage", "1 service has an outage"),
        ("unknown", "No data", "1 service cannot be seen"),
    ],
)
def test_each_state_has_its_words(shop, state, word, overall):
    stands(shop, state)

    shown = read.status_page()

    assert shown.components[0].name == "Shop"
    assert shown.components[0].word == word
    assert shown.word == overall


def test_a_state_that_is_too_old_is_no_data(shop):
    stands(shop, "up")
    CheckState.objects.update(
        last_at=timezone.now() - timedelta(minutes=5), since=datetime(2026, 1, 1, tzinfo=UTC)
    )

    assert read.status_page().components[0].word == "No data"


def test_trouble_stands_first_and_the_rest_by_name(make_service, make_check):
    for name, state in (("alpha", "up"), ("Zeta", "down"), ("Beta", "up"), ("Delta", "degraded")):
        service = make_service(name, is_public=True)
        make_check(service=service)
        stands(service, state)

    shown = read.status_page()

    assert [one.name for one in shown.components] == ["Zeta", "Delta", "alpha", "Beta"]
    assert shown.word == "1 service has an outage"


def test_the_bars_are_of_ninety_days_and_tell_the_bad_ones_in_words(client, shop):
    stands(shop, "up", since=timezone.now() - timedelta(days=2))
    StateSegment.objects.all().delete()
    now = timezone.now()
    check = shop.checks.get()
    StateSegment.objects.create(
        check_of=check,
        standing="up",
        started_at=now - timedelta(days=3),
        ended_at=now - timedelta(days=1, hours=12),
    )
    StateSegment.objects.create(
        check_of=check,
        standing="down",
        started_at=now - timedelta(days=1, hours=12),
        ended_at=now - timedelta(days=1, hours=11),
    )
    StateSegment.objects.create(
        check_of=check, standing="up", started_at=now - timedelta(days=1, hours=11)
    )

    one = read.status_page().components[0]

    assert len(one.bar.bars) == 90
    assert [bar.shade.value for bar in one.bar.bars[-3:]] == ["ok", "bad", "ok"]
    assert one.bar.bars[0].shade.value == "none"
    assert one.availability == "98.61 %"
    assert len(one.trouble) == 1
    assert one.trouble[0].text.endswith("95.83 % available, 1 h down")
    text = client.get("/status/").content.decode()
    assert "Days that were not all good" in text
    assert one.trouble[0].text in text


@pytest.mark.parametrize(
    "hidden",
    [{"is_public": False}, {"severity": "info"}, {"dedup_key": "objectives:1"}],
    ids=["not public", "for information", "of a budget"],
)
def test_what_concerns_no_visitor_is_left_out(shop, hidden):
    had(shop, **hidden)

    assert read.status_page().open == ()


def test_an_incident_with_an_update_is_shown_whatever_it_is_of(shop):
    incident = had(shop, dedup_key="certificates:1", severity="warning")
    IncidentEvent.objects.create(
        incident=incident, kind="update", actor_kind="user", actor_name="ann", text="Renewing."
    )

    (one,) = read.status_page().open

    assert one.title == "Shop: degraded"
    assert [(update.word, update.text) for update in one.updates] == [("Update", "Renewing.")]


def test_incidents_of_hidden_services_are_left_out(shop, make_service):
    had(make_service("Ledger"))

    shown = read.status_page()

    assert (shown.open, shown.past) == ((), ())


def test_past_incidents_stay_for_two_weeks_and_by_month_for_ever(client, shop):
    Service.objects.update(created_at=datetime(2026, 1, 5, tzinfo=UTC))
    began = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)
    had(shop, state="resolved", started_at=began, resolved_at=began + timedelta(minutes=4))
    recent = timezone.now() - timedelta(days=3)
    had(shop, state="closed", started_at=recent, resolved_at=recent + timedelta(minutes=30))

    past = read.status_page().past

    assert [one.began_at for one in past] == [recent]
    assert past[0].lasted == "30 min"
    text = client.get("/status/history/?month=2026-02").content.decode()
    assert "resolved after 4 min" in text
    assert 'href="?month=2026-01"' in text
    assert 'href="?month=2026-03"' in text
    assert (
        "No incident in this month."
        in client.get("/status/history/?month=2026-01").content.decode()
    )


@pytest.mark.parametrize("month", ["2026-13", "x", "9999-01", "1969-01", "2026-02-03"])
def test_no_month_is_not_found(client, db, month):
    assert client.get(f"/status/history/?month={month}").status_code == 404


@pytest.mark.parametrize("page", ["0", "2", "-1", "x", "9" * 40, "\u0661"])
def test_no_page_is_not_found(client, db, page):
    assert client.get(f"/status/?page={page}").status_code == 404


def test_maintenance_shows_instead_of_an_outage(shop, make_service):
    stands(shop, "down")
    rests(shop, make_service("Ledger"), description="New machines.")

    shown = read.status_page()

    assert shown.word == "1 service is in maintenance"
    assert shown.components[0].word == "Maintenance"
    (plan,) = shown.planned
    assert (plan.title, plan.text, plan.names, plan.is_now) == (
        "Move",
        "New machines.",
        ("Shop",),
        True,
    )


def test_maintenance_of_all_services_names_none(client, shop):
    rests(starts_at=timezone.now() + timedelta(days=2))

    (plan,) = read.status_page().planned

    assert (plan.names, plan.is_now) == ((), False)
    assert "all services" in client.get("/status/").content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"is_public": False},
        {"cancelled_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"starts_at": datetime(2100, 1, 1, tzinfo=UTC)},
        {"starts_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
    ids=["not public", "cancelled", "far ahead", "over"],
)
def test_other_maintenance_is_not_announced(shop, fields):
    rests(shop, **fields)

    assert read.status_page().planned == ()


def test_maintenance_of_hidden_services_is_not_announced(shop, make_service):
    rests(make_service("Ledger"))

    assert read.status_page().planned == ()


def test_long_lists_come_in_pages(client, make_service):
    for number in range(51):
        make_service(f"Service {number:02}", is_public=True)

    first, second = client.get("/status/"), client.get("/status/?page=2")

    assert first.content.count(b"<svg") == 50
    assert second.content.count(b"<svg") == 1
    assert b"Service 50" in second.content
    assert client.get("/status/?page=3").status_code == 404


def test_a_few_queries_serve_any_number_of_services(
    django_assert_max_num_queries, make_service, make_check
):
    for number in range(30):
        make_check(service=make_service(f"Service {number}", is_public=True))

    with django_assert_max_num_queries(9):
        read.status_page()


def test_months_before_the_first_service_are_not_offered(client, shop):
    now = timezone.now()
    first = datetime(now.year - 1, 3, 20, tzinfo=UTC)
    Service.objects.update(created_at=first)

    def links(month):
        text = client.get(f"/status/history/?month={month}").content.decode()
        return re.findall(r"\?month=(\d{4}-\d\d)", text)

    assert links(f"{first:%Y}-04") == [f"{first:%Y}-03", f"{first:%Y}-05"]
    assert links(f"{first:%Y}-03") == [f"{first:%Y}-04"]


def test_only_the_page_with_bars_explains_them(client, shop):
    explained = "Bars show the last 90 days"

    assert explained in client.get("/status/").content.decode()
    assert explained not in client.get("/status/history/").content.decode()


@pytest.mark.parametrize(("days", "told"), [(200, ""), (3, "3 d")])
def test_how_little_is_known_of_a_young_service(shop, days, told):
    began = timezone.now() - timedelta(days=days)
    check = shop.checks.get()
    Service.objects.update(created_at=began)
    shop.checks.update(created_at=began)
    StateSegment.objects.filter(check_of=check).delete()
    StateSegment.objects.create(check_of=check, standing="up", started_at=began)
    stands(shop, "up", standing="up", since=began)

    (component,) = read.status_page().components

    assert (component.availability, component.known) == ("100 %", told)
