import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditRecord
from core.adminlists import BoundedPaginator
from reliability.admin.records import SampleAdmin
from reliability.models import Change, Check, Incident, Service, UptimeTest

pytestmark = pytest.mark.django_db

PAGES = ["service", "check", "incident", "sample", "statesegment", "uptimetest"]


@pytest.fixture
def admin(console, make_user):
    return console(make_user(role="admin"))


def check_form(prefix="", **fields):
    """Return what the browser sends for one check."""
    values = {
        "url": "http://127.0.0.1:9/",
        "name": "",
        "interval_seconds": "60",
        "timeout_seconds": "10",
        "strikes_down": "2",
        "strikes_up": "2",
        "enabled": "on",
        **fields,
    }
    if not prefix:
        values |= {
            "kind": "http",
            "method": "GET",
            "tls_min_days": "14",
            "dns_type": "A",
            "ip_family": "any",
            "retry_interval_seconds": "",
            "accept": "200-399",
            "body_contains": "",
            "degraded_ms": "",
            "follow_redirects": "on",
            "tls_verify": "on",
            "new_headers": "",
            **fields,
        }
    return {prefix + name: value for name, value in values.items()}


def service_form(*checks, initial=0, **fields):
    """Return what the browser sends for a service with its checks."""
    management = {
        "checks-TOTAL_FORMS": str(len(checks)),
        "checks-INITIAL_FORMS": str(initial),
        "checks-MIN_NUM_FORMS": "0",
        "checks-MAX_NUM_FORMS": "1000",
    }
    service = {"name": "Shop", "tier": "standard", "environment": "production", **fields}
    forms = {}
    for number, check in enumerate(checks):
        forms |= {f"checks-{number}-{name}": value for name, value in check.items()}
        forms |= {
            f"initial-checks-{number}-{name}": default
            for name, default in {
                "interval_seconds": "60",
                "strikes_down": "2",
            }.items()
        }
    return {**management, **service, **forms}


def test_a_service_is_added_with_its_check_on_one_page(admin):
    answer = admin.post(
        "/admin/reliability/service/add/", service_form(check_form(name="start page"))
    )

    assert answer.status_code == 302
    check = Check.objects.get()
    assert (check.service.name, check.name, check.state.state) == ("Shop", "start page", "unknown")
    actions = AuditRecord.objects.filter(actor_kind="user").values_list("action", flat=True)
    assert {"service.created", "check.created"} <= set(actions)


def test_a_bad_check_is_shown_beside_its_field_and_nothing_is_saved(admin):
    answer = admin.post(
        "/admin/reliability/service/add/", service_form(check_form(url="http://u:p@x.example/"))
    )

    assert answer.status_code == 200
    assert b"must not contain credentials" in answer.content
    assert (Service.objects.count(), Check.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("interval_seconds", "0", b"greater than or equal to 10"),
        ("interval_seconds", "abc", b"Enter a whole number"),
        ("timeout_seconds", "61", b"less than or equal to 60"),
        ("url", "http://169.254.169.254/", b"refuses this address"),
        ("accept", "2xx", b"no status code"),
        ("new_headers", '{"X-A": 1}', b"must be one line of text"),
        ("new_headers", "{", b"Enter a valid JSON"),
    ],
)
def test_bad_input_is_told_beside_the_field(admin, make_service, field, value, told):
    service = make_service()

    answer = admin.post(
        "/admin/reliability/check/add/", check_form(service=service.pk, **{field: value})
    )

    assert answer.status_code == 200
    assert told in answer.content
    assert Check.objects.count() == 0


def test_a_check_is_added_on_a_page_of_its_own(admin, make_service):
    form = check_form(service=make_service().pk, new_headers='{"X-Key": "1"}', degraded_ms="500")

    answer = admin.post("/admin/reliability/check/add/", form)

    assert answer.status_code == 302
    check = Check.objects.get()
    assert (check.headers, check.degraded_ms, check.state.state) == ({"X-Key": "1"}, 500, "unknown")
    assert AuditRecord.objects.filter(action="check.created").count() == 1


def test_checks_are_changed_added_and_deleted_on_the_page_of_their_service(admin, make_check):
    kept = make_check("http://127.0.0.1:9/")
    gone = make_check("http://127.0.0.1:9/", service=kept.service)
    forms = [
        check_form(id=kept.pk, service=kept.service_id, interval_seconds="30"),
        check_form(id=gone.pk, service=kept.service_id, DELETE="on"),
        check_form(url="http://127.0.0.1:10/"),
    ]

    answer = admin.post(
        f"/admin/reliability/service/{kept.service_id}/change/", service_form(*forms, initial=2)
    )

    assert answer.status_code == 302
    assert list(Check.objects.order_by("pk").values_list("url", "interval_seconds")) == [
        ("http://127.0.0.1:9/", 30),
        ("http://127.0.0.1:10/", 60),
    ]
    assert Check.objects.get(pk=kept.pk).config_version == 2
    assert Service.objects.get().name == "Shop"


def test_headers_are_replaced_kept_and_removed_but_never_shown(admin, make_check):
    check = make_check(headers={"X-Key": "hunter22"})
    page = f"/admin/reliability/check/{check.pk}/change/"

    assert b"hunter22" not in admin.get(page).content
    admin.post(page, check_form(interval_seconds="30"))
    assert Check.objects.get().headers == {"X-Key": "hunter22"}
    admin.post(page, check_form(new_headers='{"X-Key": "2"}'))
    assert Check.objects.get().headers == {"X-Key": "2"}
    admin.post(page, check_form(remove_headers="on"))
    assert Check.objects.get().headers is None


def test_a_check_is_deleted_through_the_catalogue(admin, make_check):
    check = make_check()

    admin.post(f"/admin/reliability/check/{check.pk}/delete/", {"post": "yes"})
    admin.post(
        f"/admin/reliability/service/{check.service_id}/delete/",
        {"post": "yes", "typed_name": check.service.name},
    )

    assert (Check.objects.count(), Service.objects.count()) == (0, 0)
    assert AuditRecord.objects.filter(action__in=["check.deleted", "service.deleted"]).count() == 2


def test_what_goes_along_with_a_service_is_counted_before(admin, make_check, see):
    check = make_check()
    see(check, True, False)
    for title in ("4.7.0", "4.7.1"):
        Change.objects.create(service=check.service, title=title, told_by="ann")
    objectives = check.service.slos.count()

    page = admin.get(f"/admin/reliability/service/{check.service_id}/delete/").content.decode()

    assert objectives == 1
    for told in (
        "1 objective with what was noted of it",
        "2 recorded changes",
        "2 results, and the history of states",
    ):
        assert f"<li>{told}</li>" in page
    assert Service.objects.count() == 1


def test_markup_in_names_is_escaped_on_every_page(admin, make_service, make_check, see):
    name = "<script>alert(1)</script>"
    check = make_check(service=make_service(name), name=name)
    see(check, True, False, False)
    incident = Incident.objects.get()

    for page in PAGES:
        listing = admin.get(f"/admin/reliability/{page}/")
        assert listing.status_code == 200
        assert b"<script>alert" not in listing.content
    for path in [
        f"service/{check.service_id}/change/",
        f"check/{check.pk}/change/",
        f"incident/{incident.pk}/change/",
    ]:
        content = admin.get(f"/admin/reliability/{path}").content
        assert b"<script>alert" not in content
        assert b"<h1>Sorry" not in content


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_list_says_what_comes(admin, page):
    answer = admin.get(f"/admin/reliability/{page}/")

    assert answer.status_code == 200
    assert b'class="empty"' in answer.content


@pytest.mark.parametrize("page", PAGES[:-1])
def test_lists_cost_the_same_at_any_length(admin, make_check, see, page):
    admin.get(f"/admin/reliability/{page}/")  # Content types are read once per process.
    counts = []
    for _ in range(2):
        for _ in range(3):
            see(make_check(), True, False, False)
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(f"/admin/reliability/{page}/").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_a_check_leads_to_its_own_history(admin, make_check, see):
    mine, other = make_check(), make_check(name="another")
    for check in (mine, other):
        see(check, False, False)

    page = admin.get(f"/admin/reliability/check/{mine.pk}/change/").content.decode()

    for kind in ["sample", "statesegment", "incident"]:
        path = f"/admin/reliability/{kind}/?check_of__id__exact={mine.pk}"
        assert path in page
        listing = admin.get(path).content.decode()
        assert "Service 1" in listing
        assert "another" not in listing


def test_a_list_of_millions_is_counted_to_a_limit(admin, make_check, see, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 2)
    see(make_check(), True, True, True)

    page = admin.get("/admin/reliability/sample/").content.decode()

    assert "<span>2+ results</span>" in page
    assert '<span class="count">2+</span>' in page


def test_a_list_that_ends_at_its_limit_is_counted_exactly(admin, make_check, see, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 3)
    see(make_check(), True, True, True)

    page = admin.get("/admin/reliability/sample/").content.decode()

    assert "<span>3 results</span>" in page
    assert "Go on with older ones" not in page


def test_the_last_page_leads_to_what_no_page_shows(admin, make_check, see, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 2)
    begin = datetime(2026, 1, 1, 12, tzinfo=UTC)
    see(make_check(), True, False, False, False, start=begin)

    monkeypatch.setattr(SampleAdmin, "list_per_page", 1)
    listing = "/admin/reliability/sample/"
    assert "choose a moment" in admin.get(listing, {"ok__exact": "0"}).content.decode()
    page = admin.get(listing, {"ok__exact": "0", "p": "2"}).content.decode()

    (href,) = re.findall(r'<a href="([^"]+)">Go on with older ones</a>', page)
    older = admin.get(listing + html.unescape(href)).context["cl"]
    assert [row.at for row in older.queryset] == [
        begin + timedelta(seconds=40),
        begin + timedelta(seconds=20),
    ]


def test_results_are_listed_under_words_that_people_use(admin, make_check, see):
    see(make_check(), True)

    page = admin.get("/admin/reliability/sample/").content.decode()
    heads = [
        re.sub(r"<[^>]+>", "", head).strip()
        for head in re.findall(r'class="text">(.*?)</div>', page, re.DOTALL)
    ]

    assert heads == ["Check", "Time", "Result", "Answer", "Latency", "Asked by hand"]
    assert '<a href="?manual__exact=1">By hand</a>' in page


def test_results_before_a_moment_are_reached_beyond_the_limit(admin, make_check, see, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 2)
    begin = datetime(2026, 1, 1, 12, tzinfo=UTC)
    see(make_check(), True, False, False, False, start=begin)

    page = admin.get(
        "/admin/reliability/sample/", {"before": "2026-01-01T12:00:40", "ok__exact": "0"}
    )

    (found,) = page.context["cl"].result_list
    assert found.at == begin + timedelta(seconds=20)
    assert b'name="before" value="2026-01-01T12:00:40"' in page.content
    assert b'<input type="hidden" name="ok__exact" value="0">' in page.content


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "9999-12-31T23:59:59+23:59"])
def test_a_moment_that_cannot_be_read_is_left_out(admin, moment):
    answer = admin.get("/admin/reliability/sample/", {"before": moment}, follow=True)

    assert answer.status_code == 200


def test_an_incident_is_acknowledged_from_the_list(admin, make_check, see):
    see(make_check(), False, False)
    incident = Incident.objects.get()
    body = {"action": "acknowledge", "_selected_action": [incident.pk]}

    first = admin.post("/admin/reliability/incident/", body, follow=True)
    second = admin.post("/admin/reliability/incident/", body, follow=True)

    incident.refresh_from_db()
    assert (incident.state, incident.owner.username) == ("acknowledged", "person1")
    assert b"1 acknowledged." in first.content
    assert b"acknowledged already" in second.content
    timeline = admin.get(f"/admin/reliability/incident/{incident.pk}/change/").content
    assert b"uptime checks (schedule)" in timeline


def test_resolving_by_hand_asks_first(admin, make_check, see):
    see(make_check(), False, False)
    body = {"action": "resolve", "_selected_action": [Incident.objects.get().pk]}

    assert b"Resolve these incidents?" in admin.post("/admin/reliability/incident/", body).content
    assert Incident.objects.get().state == "triggered"
    admin.post("/admin/reliability/incident/", {**body, "confirmed": "yes"})

    assert Incident.objects.get().state == "resolved"


def test_checks_are_run_now_from_the_list(
    admin, make_check, sent, django_capture_on_commit_callbacks
):
    check = make_check()

    with django_capture_on_commit_callbacks(execute=True):
        answer = admin.post(
            "/admin/reliability/check/",
            {"action": "run_now", "_selected_action": [check.pk]},
            follow=True,
        )

    test = UptimeTest.objects.get()
    assert answer.request["PATH_INFO"] == f"/admin/reliability/uptimetest/{test.pk}/change/"
    assert [name for name, _ in sent] == ["reliability.run_uptime_test"]
    assert admin.get(f"/admin/reliability/uptimetest/{test.pk}/change/").status_code == 200


@pytest.mark.parametrize("page", ["sample", "statesegment", "incident"])
def test_records_cannot_be_added_or_changed(admin, make_check, see, page):
    see(make_check(), False, False)

    assert admin.get(f"/admin/reliability/{page}/add/").status_code == 403


def test_an_auditor_reads_and_changes_nothing(console, make_user, make_check):
    check = make_check()
    auditor = console(make_user(role="auditor"))

    assert auditor.get(f"/admin/reliability/check/{check.pk}/change/").status_code == 200
    answer = auditor.post(f"/admin/reliability/check/{check.pk}/change/", check_form())
    assert answer.status_code == 403
    assert auditor.get("/admin/reliability/service/add/").status_code == 403
