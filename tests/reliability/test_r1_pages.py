"""Pages of one service, check, incident and test: what they show, to whom, and what they do."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.roles import ROLES
from audit.models import AuditRecord
from reliability.models import (
    Check,
    CheckState,
    Incident,
    IncidentEvent,
    Sample,
    StateSegment,
    UptimeTest,
)
from reliability.services import catalogue, incidents, uptime_tests

pytestmark = pytest.mark.django_db

INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=\"", re.IGNORECASE)
STAFF = sorted(set(ROLES) - {"user"})


@pytest.fixture
def outage(make_service, make_check, see, operator, sent):
    """Make a service that is down, and return the paths of all its pages."""
    service = make_service("Shop", owner="Ada", url="https://shop.example/")
    check = make_check("http://127.0.0.1:9/health?token=hunter22", service=service, name="start")
    see(check, True, True, False, False)
    incident = Incident.objects.get()
    test = uptime_tests.request(actor=operator)
    base = "/admin/reliability"
    return {
        "service": f"{base}/service/{service.pk}/",
        "check": f"{base}/check/{check.pk}/",
        "incident": f"{base}/incident/{incident.pk}/change/",
        "uptimetest": f"{base}/uptimetest/{test.pk}/change/",
    }


@pytest.mark.parametrize("role", STAFF)
@pytest.mark.parametrize("page", ["service", "check", "incident", "uptimetest"])
def test_a_page_opens_exactly_for_who_may_view_it(console, make_user, outage, page, role):
    answer = console(make_user(role=role)).get(outage[page])

    assert answer.status_code == (200 if f"reliability.view_{page}" in ROLES[role] else 403)
    assert INLINE.findall(answer.content.decode()) == []


@pytest.mark.parametrize("page", ["service", "check", "incident", "uptimetest"])
def test_strangers_are_led_to_the_sign_in(client, outage, page):
    answer = client.get(outage[page])

    assert (answer.status_code, "/admin/login/" in answer.headers["Location"]) == (302, True)


@pytest.mark.parametrize(
    "path",
    [
        "service/999999/",
        f"service/{2**63}/",
        "check/999999/",
        "incident/999999/change/",
        "incident/abc/change/",
        "uptimetest/00000000-0000-0000-0000-000000000000/change/",
        "uptimetest/abc/change/",
    ],
)
def test_what_does_not_exist_is_not_found(console, make_user, path):
    assert console(make_user(role="admin")).get(f"/admin/reliability/{path}").status_code == 404


def test_the_page_of_a_service_tells_how_it_does(console, make_user, outage):
    page = console(make_user(role="manager")).get(outage["service"]).content.decode()

    for told in ("Down", "Ada", "https://shop.example/", "Shop (start) is down", "HTTP 503"):
        assert told in page
    assert 'data-src="/api/services/' in page
    assert "Run checks now" not in page
    assert "/change/" in page  # its incident
    assert "hunter22" not in page


def test_availability_stands_beside_its_window(console, make_user, make_check):
    check = make_check()
    now = datetime.now(UTC)
    Check.objects.filter(pk=check.pk).update(created_at=now - timedelta(days=60))
    StateSegment.objects.filter(check_of=check).delete()
    for standing, begun, ended in (("up", 1440, 40), ("down", 40, 39), ("up", 39, None)):
        StateSegment.objects.create(
            check_of=check,
            standing=standing,
            started_at=now - timedelta(hours=begun),
            ended_at=None if ended is None else now - timedelta(hours=ended),
        )
    CheckState.objects.filter(check_of=check).update(
        state="up", standing="up", last_at=now, since=now - timedelta(hours=39)
    )

    page = console(make_user(role="manager")).get(f"/admin/reliability/check/{check.pk}/")

    figures = {one.key: (one.availability, one.context) for one in page.context["windows"]}
    assert figures["24h"] == ("100 %", "no outage")
    assert figures["7d"] == ("99.40 %", "1 h down")
    assert figures["90d"][1] == "1 h down"


def test_too_little_known_time_makes_no_availability(console, make_user, make_check):
    check = make_check()
    now = datetime.now(UTC)
    Check.objects.filter(pk=check.pk).update(created_at=now - timedelta(days=1))
    StateSegment.objects.filter(check_of=check).update(
        standing="up", started_at=now - timedelta(hours=2)
    )
    CheckState.objects.filter(check_of=check).update(state="up", last_at=now, standing="up")

    page = console(make_user(role="manager")).get(f"/admin/reliability/check/{check.pk}/")

    day = next(one for one in page.context["windows"] if one.key == "24h")
    assert day.availability == "too little data"
    assert '<strong class="little">too little data</strong>' in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "words"), [("90d", "90 days"), ("1y", "24 hours"), ("", "24 hours")]
)
def test_the_window_is_chosen_by_the_address(console, make_user, outage, asked, words):
    page = console(make_user(role="manager")).get(outage["service"], {"window": asked})

    assert page.context["window"] == words


@pytest.mark.parametrize(
    ("role", "sees"), [("admin", True), ("engineer", True), ("operator", False), ("manager", False)]
)
def test_the_query_of_a_url_is_for_who_changes_checks(console, make_user, outage, role, sees):
    page = console(make_user(role=role)).get(outage["check"]).content.decode()

    assert ("hunter22" in page) is sees


@pytest.mark.parametrize("role", STAFF)
def test_answers_of_targets_are_for_operators(console, make_user, outage, role):
    page = console(make_user(role=role)).get(outage["incident"]).content.decode()

    assert ("What it answered" in page) == ("reliability.change_incident" in ROLES[role])
    assert "<h1>Sorry" not in page


def test_the_list_leads_to_the_page_and_the_page_to_the_form(console, make_user, outage):
    client = console(make_user(role="admin"))

    assert (
        f'href="{outage["service"]}"' in client.get("/admin/reliability/service/").content.decode()
    )
    page = client.get(outage["service"]).content.decode()
    assert f'href="{outage["service"]}change/"' in page
    assert client.get(f"{outage['service']}change/").status_code == 200


def test_a_service_without_checks_says_so(console, make_user, make_service):
    service = make_service("Bare")

    page = console(make_user(role="engineer")).get(f"/admin/reliability/service/{service.pk}/")

    assert "nobody knows how it does" in page.content.decode()
    assert "Add a check" in page.content.decode()


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "x" * 120,
    "\u05e9\u05dc\u05d5\u05dd",
    "{{ 7 }}\"' onx=1",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(console, make_user, make_service, make_check, see, sent, name):
    check = make_check(service=make_service(name, owner=name), name=name)
    see(check, True, False, False)
    incident = Incident.objects.get()
    client = console(make_user(role="admin"))

    for path in (
        f"service/{check.service_id}/",
        f"check/{check.pk}/",
        f"incident/{incident.pk}/change/",
        f"incident/{incident.pk}/resolve/",
        "service/",
    ):
        page = client.get(f"/admin/reliability/{path}").content.decode()
        assert "<img src=x" not in page
        assert '" onx' not in page


ACTS = {
    "service/{service}/run/": "reliability.run_uptimetest",
    "check/{check}/run/": "reliability.run_uptimetest",
    "uptimetest/run/": "reliability.run_uptimetest",
    "uptimetest/{test}/cancel/": "reliability.run_uptimetest",
    "incident/{incident}/acknowledge/": "reliability.acknowledge_incident",
    "incident/{incident}/note/": "reliability.acknowledge_incident",
    "incident/{incident}/resolve/": "reliability.change_incident",
}


ASK_FIRST = {"incident/{incident}/resolve/", "uptimetest/run/"}


def told():
    """Return everything that an act may change."""
    return (
        list(Incident.objects.values()),
        list(IncidentEvent.objects.values()),
        list(UptimeTest.objects.values()),
        AuditRecord.objects.count(),
    )


def path_of(act):
    ids = {
        "service": Incident.objects.get().service_id,
        "check": Incident.objects.get().check_of_id,
        "incident": Incident.objects.get().pk,
        "test": UptimeTest.objects.order_by("created_at").first().pk,
    }
    return f"/admin/reliability/{act.format(**ids)}"


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("role", STAFF)
def test_an_act_is_done_exactly_by_who_may(console, make_user, outage, sent, act, role):
    client = console(make_user(role=role))
    before = told()

    answer = client.post(path_of(act), {"text": "Looking", "reason": "Wrong check"})

    allowed = ACTS[act] in ROLES[role]
    assert answer.status_code == (302 if allowed else 403)
    assert (told() != before) is allowed


@pytest.mark.parametrize("act", ACTS)
def test_looking_changes_nothing(console, make_user, outage, sent, act):
    client = console(make_user(role="admin"))
    before = told()

    answer = client.get(path_of(act))

    assert answer.status_code == (200 if act in ASK_FIRST else 405)
    assert told() == before


@pytest.mark.parametrize("act", ACTS)
def test_an_act_without_the_token_of_a_form_is_refused(make_user, outage, sent, act):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(role="admin"))
    before = told()

    assert client.post(path_of(act), {"reason": "x", "text": "x"}).status_code == 403
    assert told() == before


def test_an_incident_is_taken_noted_and_resolved_on_its_page(console, make_user, outage):
    client = console(make_user(role="operator"))
    base = outage["incident"].removesuffix("change/")

    client.post(f"{base}acknowledge/")
    client.post(f"{base}note/", {"text": "Rolled back."})
    asked = client.get(f"{base}resolve/").content.decode()
    client.post(f"{base}resolve/", {"reason": "The check is wrong."})

    assert "data-dialog-body" in asked
    incident = Incident.objects.get()
    assert (incident.state, incident.owner.username) == ("resolved", "person1")
    kinds = list(incident.events.values_list("kind", "text"))
    assert kinds[1:] == [
        ("acknowledged", ""),
        ("note", "Rolled back."),
        ("resolved", "The check is wrong."),
    ]
    page = client.get(outage["incident"]).content.decode()
    assert "Rolled back." in page
    assert "Acknowledge</button>" not in page
    assert ">Resolve</a>" not in page
    assert "Add note" in page


@pytest.mark.parametrize(
    ("act", "body", "words"),
    [
        ("note/", {"text": ""}, "Write 1 to 4000"),
        ("note/", {"text": "x" * 4001}, "Write 1 to 4000"),
        ("resolve/", {"reason": " "}, "Write 1 to 4000"),
        ("resolve/", {"reason": "\u202e"}, "Write 1 to 4000"),
    ],
)
def test_what_cannot_be_written_is_said_and_changes_nothing(
    console, make_user, outage, act, body, words
):
    client = console(make_user(role="operator"))
    before = told()

    page = client.post(outage["incident"].replace("change/", act), body, follow=True)

    assert words in page.content.decode()
    assert told() == before


def test_a_second_acknowledgement_is_told(console, make_user, outage):
    client = console(make_user(role="operator"))
    path = outage["incident"].replace("change/", "acknowledge/")
    client.post(path)

    assert "acknowledged already" in client.post(path, follow=True).content.decode()


def test_a_form_cannot_edit_a_record(console, make_user, outage):
    client = console(make_user(role="admin"))

    for page in ("incident", "uptimetest"):
        assert client.post(outage[page], {"state": "resolved"}).status_code == 405


def test_an_incident_outlives_its_service(console, make_user, outage, operator):
    service_id = Incident.objects.get().service_id
    catalogue.delete_service(actor=operator, service_id=service_id)

    page = console(make_user(role="operator")).get(outage["incident"])

    assert page.status_code == 200
    assert "deleted" in page.content.decode()
    assert "data-chart" not in page.content.decode()


def test_a_long_timeline_comes_in_pages_newest_first(console, make_user, outage):
    incident = Incident.objects.get()
    IncidentEvent.objects.bulk_create(
        IncidentEvent(incident=incident, kind="note", actor_name="Ada", text=f"Note {number:03d}.")
        for number in range(250)
    )
    client = console(make_user(role="manager"))

    first = client.get(outage["incident"]).content.decode()
    last = client.get(outage["incident"], {"page": 3}).content.decode()

    assert re.findall(r"Note \d+", first) == [
        f"Note {number:03d}" for number in range(249, 149, -1)
    ]
    assert 'href="?page=2"' in first
    assert "251 in all" in first
    assert re.findall(r"Note \d+", last)[-1] == "Note 000"
    assert "Opened" in last
    assert "Opened" not in first.partition("<ol")[2].partition("</ol>")[0]


def test_the_list_of_incidents_reads_no_timelines(console, make_user, outage):
    client = console(make_user(role="manager"))

    with CaptureQueriesContext(connection) as queries:
        page = client.get("/admin/reliability/incident/").content.decode()

    assert "Shop" in page
    assert [query for query in queries if "reliability_incidentevent" in query["sql"]] == []


def test_a_test_is_begun_followed_and_cancelled(console, make_user, outage, sent):
    client = console(make_user(role="admin"))

    begun = client.post(outage["check"] + "run/", follow=True)

    page = begun.content.decode()
    test = UptimeTest.objects.order_by("-created_at").first()
    assert begun.request["PATH_INFO"] == f"/admin/reliability/uptimetest/{test.pk}/change/"
    assert "data-busy" in page
    assert f"uptimetest/{test.pk}/cancel/" in page
    ended = client.post(f"/admin/reliability/uptimetest/{test.pk}/cancel/", follow=True)
    assert "Cancelled" in ended.content.decode()
    assert "data-busy" not in ended.content.decode()
    again = client.post(f"/admin/reliability/uptimetest/{test.pk}/cancel/", follow=True)
    assert "cancelled already" in again.content.decode()


def end_test(*results):
    """End the uptime test with these results."""
    told = UptimeTest.told(list(results))
    UptimeTest.objects.update(state="done", progress=100, finished_at=datetime.now(UTC), **told)


def found(name, *, ok):
    """Return what a test found of one check."""
    return {
        "check": 1,
        "service": name,
        "name": "start",
        "ok": ok,
        "status_code": 200,
        "detail": "" if ok else "HTTP 503",
        "latency_ms": 1234.0,
        "phases": {"dns_ms": 1.0, "connect_ms": 2.0, "tls_ms": 3.0, "first_byte_ms": 4.0},
    }


def test_results_of_a_test_stand_in_a_table_with_failures_first(console, make_user, outage):
    end_test(found("<b>Good</b>", ok=True), found("Bad", ok=False))

    page = console(make_user(role="manager")).get(outage["uptimetest"]).content.decode()

    assert "1 of 2 good" in page
    assert page.index("Bad: start") < page.index("Good")
    assert "<b>Good" not in page
    assert "1,234 ms" in page


def test_many_results_of_a_test_come_in_pages(console, make_user, outage):
    end_test(*(found(f"Shop {number:03d}", ok=number % 2 == 0) for number in range(120)))
    client = console(make_user(role="manager"))

    first = client.get(outage["uptimetest"]).content.decode()
    second = client.get(outage["uptimetest"], {"page": 2}).content.decode()

    assert "60 of 120 good" in first
    shown = [int(number) for number in re.findall(r"Shop (\d+)", first)]
    assert shown == list(range(1, 101, 2))
    shown = [int(number) for number in re.findall(r"Shop (\d+)", second)]
    assert shown == [*range(101, 121, 2), *range(0, 80, 2)]
    assert 'href="?page=3"' in second


@pytest.mark.parametrize("path", ["/admin/", "/admin/reliability/uptimetest/"])
def test_where_only_sums_stand_no_results_are_read(console, make_user, outage, path):
    end_test(*(found(f"Shop {number}", ok=number >= 7) for number in range(20)))
    client = console(make_user(role="manager"))

    with CaptureQueriesContext(connection) as queries:
        page = client.get(path).content.decode()

    assert "13 of 20 good" in page
    heavy = [name for name in ("results", "check_ids") for query in queries if name in query["sql"]]
    assert heavy == []


def test_home_names_a_few_of_those_that_failed(console, make_user, outage):
    end_test(*(found(f"Till {number}", ok=number >= 7) for number in range(20)))

    page = console(make_user(role="manager")).get("/admin/").content.decode()

    assert re.findall(r"Till \d+", page) == [f"Till {number}" for number in range(5)]


def test_sums_are_made_of_the_results_that_were_stored_without(outage, make_check):
    from importlib import import_module
    from types import SimpleNamespace

    from django.apps import apps

    end_test(*(found(f"Till {number}", ok=number >= 7) for number in range(20)))
    told = UptimeTest.objects.values().get()
    UptimeTest.objects.update(good=0, failed=0, first_failures=[], check_count=0)

    migration = import_module("reliability.migrations.0005_uptimetest_sums")
    migration.sum_up(apps, SimpleNamespace(connection=connection))

    assert UptimeTest.objects.values().get() == told
    assert (told["good"], told["failed"], told["check_count"]) == (13, 7, 1)


@pytest.mark.parametrize(
    ("results", "badge"),
    [
        ([True, True], '<span class="badge badge-ok">All 2 good</span>'),
        ([True, False, False], '<span class="badge badge-bad">1 of 3 good</span>'),
        ([], '<span class="badge badge-unknown">Nothing found</span>'),
    ],
)
def test_a_test_has_the_colour_of_what_it_found(console, make_user, outage, results, badge):
    end_test(*(found(f"Shop {number}", ok=ok) for number, ok in enumerate(results)))
    client = console(make_user(role="admin"))

    for address in ("/admin/", "/admin/reliability/uptimetest/", outage["uptimetest"]):
        page = client.get(address).content.decode()
        assert badge in page
        assert ">Done</span>" not in page


def test_a_run_is_asked_for_on_a_page_of_its_own(console, make_user, make_check, sent):
    make_check()
    client = console(make_user(role="admin"))
    assert 'href="/admin/reliability/uptimetest/run/"' in (
        client.get("/admin/reliability/uptimetest/").content.decode()
    )

    page = client.get("/admin/reliability/uptimetest/run/").content.decode()
    assert "The one check that is on is asked at once." in page
    assert '<form method="post" action="/admin/reliability/uptimetest/run/">' in page
    assert UptimeTest.objects.count() == 0

    client.post("/admin/reliability/uptimetest/run/")
    assert UptimeTest.objects.count() == 1
    manager = console(make_user(role="manager"))
    assert manager.get("/admin/reliability/uptimetest/run/").status_code == 403


def test_a_run_of_nothing_is_refused_in_words(console, make_user):
    answer = console(make_user(role="admin")).post(
        "/admin/reliability/uptimetest/run/", follow=True
    )

    assert "no check to run" in answer.content.decode()


def test_after_saving_the_page_of_the_thing_is_shown(console, make_user, make_service):
    service = make_service()
    client = console(make_user(role="admin"))
    form = {
        "name": "Renamed",
        "tier": "standard",
        "environment": "production",
        "checks-TOTAL_FORMS": "0",
        "checks-INITIAL_FORMS": "0",
    }

    answer = client.post(f"/admin/reliability/service/{service.pk}/change/", form)

    assert answer.headers["Location"] == f"/admin/reliability/service/{service.pk}/"


@pytest.mark.parametrize("page", ["service", "check"])
def test_a_page_costs_the_same_at_any_length_of_history(
    console, make_user, make_service, make_check, see, sent, page
):
    service = make_service()
    client = console(make_user(role="admin"))
    counts = []
    for size in (2, 8):
        for _ in range(size):
            check = make_check(service=service)
            see(check, True, False, False)
            incident = Incident.objects.get(service=service)
            incidents.add_note(actor=_someone(), incident_id=incident.pk, text="x")
        path = f"service/{service.pk}/" if page == "service" else f"check/{check.pk}/"
        client.get(f"/admin/reliability/{path}")
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/admin/reliability/{path}").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]


def _someone():
    from core.actors import Actor

    return Actor.command("test")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("found=down", {"Red"}),
        ("found=up", {"Green"}),
        ("found=unknown", {"New"}),
        ("found=degraded", set()),
        ("watched=no", {"Bare", "Off"}),
        ("watched=yes", {"Red", "Green", "New"}),
        ("found=nonsense", {"Red", "Green", "New", "Bare", "Off"}),
    ],
)
def test_services_are_filtered_by_what_was_found(
    console, make_user, make_service, make_check, see, sent, query, names
):
    see(make_check(service=make_service("Red")), True, False, False)
    see(make_check(service=make_service("Green")), True)
    make_check(service=make_service("New"))
    make_check(service=make_service("Off"), enabled=False)
    make_service("Bare")

    answer = console(make_user(role="manager")).get(f"/admin/reliability/service/?{query}")

    assert {service.name for service in answer.context["cl"].result_list} == names


def test_the_list_of_services_shows_the_last_day(console, make_user, make_check, see, sent):
    see(make_check(), True, False, False)

    page = console(make_user(role="manager")).get("/admin/reliability/service/").content.decode()

    assert 'class="history small"' in page
    assert Sample.objects.count() == 3
