import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditRecord
from core.rest.errors import MEDIA_TYPE
from reliability.models import Check, Incident, Sample, Service

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer(api, make_user):
    user = make_user(role="engineer")
    api.force_authenticate(user)
    return api


def test_a_service_and_its_check_are_created_by_api(engineer):
    answer = engineer.post("/api/services/", {"name": "Shop", "tier": "critical"}, format="json")
    assert (answer.status_code, answer.data["state"], answer.data["checks"]) == (201, "unknown", [])

    check = engineer.post(
        "/api/checks/",
        {"service": answer.data["id"], "url": "http://127.0.0.1:9/", "headers": {"X-Key": "1"}},
        format="json",
    )

    assert check.status_code == 201
    assert check.data["status"]["state"] == "unknown"
    assert "headers" not in check.data
    assert Check.objects.get().headers == {"X-Key": "1"}
    assert AuditRecord.objects.get(action="check.created").actor_kind == "user"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://user:secret@example.org/"),
        ("url", "file:///etc/passwd"),
        ("url", "http://169.254.169.254/"),
        ("url", "http://127.0.0.1/\0"),
        ("interval_seconds", 0),
        ("interval_seconds", -1),
        ("interval_seconds", "abc"),
        ("timeout_seconds", 1000),
        ("service", 999_999),
        ("service", "abc"),
        ("headers", "no object"),
        ("accept", "all"),
    ],
)
def test_bad_input_is_refused_by_its_field(engineer, make_service, field, value):
    body = {"service": make_service().pk, "url": "http://127.0.0.1/", field: value}

    answer = engineer.post("/api/checks/", body, format="json")

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, MEDIA_TYPE)
    assert list(answer.data["errors"]) == [field]
    assert Check.objects.count() == 0


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("id", 5, "This field cannot be set."),
        ("intervall_seconds", 20, "There is no such field."),
    ],
)
def test_a_field_that_cannot_be_set_is_refused_by_name(engineer, make_service, field, value, told):
    body = {"service": make_service().pk, "url": "http://127.0.0.1/", field: value}

    answer = engineer.post("/api/checks/", body, format="json")

    assert (answer.status_code, answer.data["errors"]) == (400, {field: [told]})
    assert Check.objects.count() == 0


def test_an_unknown_field_leaves_a_change_undone(engineer, make_check):
    check = make_check(interval_seconds=20)

    answer = engineer.patch(
        f"/api/checks/{check.pk}/", {"interval_seconds": 30, "interval": 30}, format="json"
    )

    assert (answer.status_code, list(answer.data["errors"])) == (400, ["interval"])
    check.refresh_from_db()
    assert check.interval_seconds == 20


@pytest.mark.parametrize("path", ["/api/services/", "/api/ops/uptime/test"])
def test_every_body_is_refused_with_an_unknown_field(api, make_user, path):
    api.force_authenticate(make_user(role="admin"))

    answer = api.post(path, {"name": "Shop", "chekcs": [1]}, format="json")

    assert (answer.status_code, "chekcs" in answer.data["errors"]) == (400, True)


def test_a_timeout_above_the_interval_names_its_field(engineer, make_check):
    check = make_check(interval_seconds=20)

    answer = engineer.patch(f"/api/checks/{check.pk}/", {"timeout_seconds": 30}, format="json")

    assert (answer.status_code, list(answer.data["errors"])) == (400, ["timeout_seconds"])


@pytest.mark.parametrize("body", [[], "text", 5, None, {"name": {"a": 1}}, {"name": ["x"]}])
def test_a_body_of_another_shape_is_refused(engineer, body):
    answer = engineer.post("/api/services/", body, format="json")

    assert answer.status_code == 400
    assert Service.objects.count() == 0


def test_markup_in_a_name_is_kept_as_text(engineer):
    name = "<script>alert(1)</script>"

    answer = engineer.post("/api/services/", {"name": name}, format="json")

    assert (answer.status_code, answer.data["name"]) == (201, name)


@pytest.mark.parametrize("name", ["Shop", "SHOP"])
def test_a_duplicate_name_is_refused(engineer, make_service, name):
    make_service("Shop")

    answer = engineer.post("/api/services/", {"name": name}, format="json")

    assert answer.status_code == 400
    assert Service.objects.count() == 1


def test_an_update_answers_with_what_is_stored(engineer, make_check):
    check = make_check()

    answer = engineer.patch(f"/api/checks/{check.pk}/", {"interval_seconds": 30}, format="json")
    service = engineer.patch(f"/api/services/{check.service_id}/", {"name": " New "}, format="json")

    assert (answer.status_code, answer.data["interval_seconds"]) == (200, 30)
    assert (service.status_code, service.data["name"]) == (200, "New")
    assert Check.objects.get().config_version == 2


def test_a_check_stays_with_its_service(engineer, make_check, make_service):
    check, other = make_check(), make_service()

    answer = engineer.patch(f"/api/checks/{check.pk}/", {"service": other.pk}, format="json")

    assert (answer.status_code, list(answer.data["errors"])) == (400, ["service"])


def test_delete_removes_service_and_checks(engineer, make_check):
    check = make_check()

    assert engineer.delete(f"/api/services/{check.service_id}/").status_code == 204
    assert Check.objects.count() == 0


def test_put_is_not_offered(engineer, make_service):
    assert engineer.put(f"/api/services/{make_service().pk}/", {}).status_code in {403, 405}


def test_lists_can_be_narrowed(engineer, make_service, make_check):
    staging = make_service("Stage", environment="staging")
    make_check(service=staging)
    make_check()

    services = engineer.get("/api/services/", {"environment": "staging"})
    checks = engineer.get("/api/checks/", {"service": staging.pk})

    assert [row["name"] for row in services.data["results"]] == ["Stage"]
    assert [row["service"] for row in checks.data["results"]] == [staging.pk]
    assert engineer.get("/api/checks/", {"service": "abc"}).status_code == 400


@pytest.mark.parametrize(
    "path", ["/api/services/", "/api/checks/", "/api/incidents/", "/api/ops/uptime/"]
)
def test_lists_cost_the_same_at_any_length(engineer, make_check, see, path):
    engineer.get(path)  # Permissions are read once per person.
    counts = []
    for _ in range(2):
        for _ in range(3):
            see(make_check(), False, False)
        with CaptureQueriesContext(connection) as queries:
            answer = engineer.get(path)
        assert answer.status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert len(answer.data["results"]) == 6


def test_services_count_their_checks_and_one_tells_the_first(
    engineer, make_service, make_check, see, monkeypatch
):
    monkeypatch.setattr("reliability.api.serializers.MOST_CHECKS", 2)
    shop, _ = make_service("Shop"), make_service("Still empty")
    checks = [make_check(name=f"check {number}", service=shop) for number in range(3)]
    see(checks[2], False, False)

    listed = engineer.get("/api/services/").data["results"]
    one = engineer.get(f"/api/services/{shop.pk}/").data

    told = [(row["name"], row["state"], row["check_count"], "checks" in row) for row in listed]
    assert told == [("Shop", "down", 3, False), ("Still empty", "unknown", 0, False)]
    assert (one["state"], one["check_count"]) == ("down", 3)
    assert [row["name"] for row in one["checks"]] == ["check 0", "check 1"]


def test_a_service_whose_checks_are_off_says_unknown(engineer, make_service, make_check, see):
    shop = make_service("Shop")
    see(make_check(service=shop), False, False)
    shop.checks.update(enabled=False)

    (listed,) = engineer.get("/api/services/").data["results"]

    assert (listed["state"], listed["check_count"]) == ("unknown", 1)


def test_pages_follow_the_key_not_an_offset(engineer, make_service):
    for number in range(5):
        make_service(f"Service {number}")

    first = engineer.get("/api/services/", {"page_size": 3})
    second = engineer.get(first.data["next"])

    names = [row["name"] for row in [*first.data["results"], *second.data["results"]]]
    assert names == [f"Service {number}" for number in range(5)]
    assert second.data["next"] is None


def test_uptime_shows_the_state_of_every_check(engineer, make_check, see):
    see(make_check(name="start"), True, False, False)
    make_check()

    rows = engineer.get("/api/ops/uptime/").data["results"]

    assert [(row["service"], row["status"]["state"]) for row in rows] == [
        ("Service 1", "down"),
        ("Service 2", "unknown"),
    ]
    assert rows[0]["status"]["last_detail"] == "HTTP 503 Service Unavailable"


def test_an_incident_is_read_with_its_timeline_and_acknowledged(engineer, make_check, see):
    see(make_check(), False, False)
    incident = Incident.objects.get()

    listed = engineer.get("/api/incidents/", {"state": "triggered"}).data["results"]
    assert [row["id"] for row in listed] == [incident.pk]
    assert "excerpt" not in listed[0]

    answer = engineer.post(f"/api/incidents/{incident.pk}/acknowledge/")

    assert (answer.status_code, answer.data["state"]) == (200, "acknowledged")
    assert answer.data["owner"] == "person1"
    kinds = [row["kind"] for row in answer.data["events"] if row["kind"] != "change"]
    assert kinds == ["opened", "acknowledged"]
    assert engineer.post(f"/api/incidents/{incident.pk}/acknowledge/").status_code == 409


@pytest.mark.parametrize(
    ("role", "is_shown"),
    [("admin", True), ("operator", True), ("engineer", False), ("auditor", False)],
)
def test_what_a_target_answered_is_for_operators(
    api, console, make_user, make_check, see, role, is_shown
):
    see(make_check(), False, False)
    user = make_user(role=role)
    api.force_authenticate(user)
    incident, sample = Incident.objects.get(), Sample.objects.first()

    answer = api.get(f"/api/incidents/{incident.pk}/")
    pages = [
        console(user).get(f"/admin/reliability/incident/{incident.pk}/change/"),
        console(user).get(f"/admin/reliability/sample/{sample.pk}/change/"),
    ]

    assert ("excerpt" in answer.data) is is_shown
    assert [b"Sorry" in page.content for page in pages] == [is_shown, is_shown]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("services", "owner"),
        ("services", "environment"),
        ("services", "tier"),
        ("incidents", "state"),
    ],
)
@pytest.mark.parametrize(
    ("value", "status"),
    [("a\0b", 400), ("a\tb", 200), ("\u202e", 200), ("", 200), ("x" * 5000, 200)],
)
def test_odd_filters_find_nothing_or_are_refused(
    engineer, make_check, see, path, name, value, status
):
    see(make_check(), False, False)

    answer = engineer.get(f"/api/{path}/", {name: value})

    assert answer.status_code == status
    if status == 200 and (name, value) != ("owner", ""):
        assert answer.data["results"] == []


@pytest.mark.parametrize("path", ["checks", "incidents"])
@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "\u0661", "1" * 19, ""])
def test_a_filter_by_id_that_is_no_number_is_refused(engineer, path, value):
    answer = engineer.get(f"/api/{path}/", {"service": value})

    assert (answer.status_code, answer.data["errors"]) == (
        400,
        {"service": ["Give the id as a number."]},
    )


def test_notes_and_resolving_need_text(api, make_user, make_check, see):
    api.force_authenticate(make_user(role="operator"))
    see(make_check(), False, False)
    base = f"/api/incidents/{Incident.objects.get().pk}"

    assert api.post(f"{base}/notes/", {"text": " "}, format="json").status_code == 400
    assert api.post(f"{base}/notes/", {"text": "called"}, format="json").status_code == 201
    assert api.post(f"{base}/resolve/", {}, format="json").status_code == 400
    answer = api.post(f"{base}/resolve/", {"reason": "moved"}, format="json")

    kinds = [row["kind"] for row in answer.data["events"] if row["kind"] != "change"]
    assert kinds == ["opened", "note", "resolved"]


READS = ["/api/services/", "/api/checks/", "/api/incidents/", "/api/ops/uptime/"]
WRITES = [
    ("post", "/api/services/"),
    ("patch", "/api/services/1/"),
    ("delete", "/api/services/1/"),
    ("post", "/api/checks/"),
    ("patch", "/api/checks/1/"),
    ("delete", "/api/checks/1/"),
    ("post", "/api/incidents/1/resolve/"),
    ("post", "/api/ops/uptime/test"),
]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("admin", 200),
        ("operator", 200),
        ("manager", 200),
        ("engineer", 200),
        ("auditor", 200),
        ("analyst", 403),
        ("user", 403),
        (None, 401),
    ],
)
def test_who_may_read(api, make_user, path, role, status):
    if role:
        api.force_authenticate(make_user(role=role))

    assert api.get(path).status_code == status


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("role", ["auditor", "manager", "analyst", "user", None])
def test_who_may_not_write(api, make_user, make_service, method, path, role):
    make_service()
    if role:
        api.force_authenticate(make_user(role=role))

    answer = getattr(api, method)(path, {"name": "x"}, format="json")

    assert answer.status_code == (403 if role else 401)
    assert Service.objects.get().name == "Service 1"


@pytest.mark.parametrize("role", ["operator", "engineer"])
def test_running_checks_now_is_for_admins(api, make_user, make_check, sent, role):
    make_check()
    api.force_authenticate(make_user(role=role))

    assert api.post("/api/ops/uptime/test", {}, format="json").status_code == 403
    assert sent == []
