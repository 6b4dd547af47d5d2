import json

import pytest

from audit.models import AuditRecord
from core.errors import InvalidInputError, NotFoundError
from reliability.models import Check, CheckState, Incident, Service, StateSegment
from reliability.services import catalogue


def audited():
    return list(AuditRecord.objects.order_by("pk").values_list("action", "target_name"))


def test_a_service_is_created_with_its_audit_row(operator, db):
    service = catalogue.create_service(actor=operator, name="Shop", owner="web", tier="critical")

    assert Service.objects.get().owner == "web"
    assert audited() == [("service.created", "Shop"), ("slo.created", "Shop: Availability")]
    first = AuditRecord.objects.order_by("pk")[0]
    assert json.loads(first.payload)["after"]["tier"] == "critical"
    assert service.environment == "production"


@pytest.mark.parametrize("name", ["", " " * 3, "x" * 121, "x" * 10_000, "a\0b", "a\nb", "a\u202eb"])
def test_a_name_that_cannot_be_used_is_refused(operator, db, name):
    with pytest.raises(InvalidInputError) as caught:
        catalogue.create_service(actor=operator, name=name)

    assert list(caught.value.errors) == ["name"]
    assert (Service.objects.count(), audited()) == (0, [])


def test_a_name_is_unique_whatever_its_case(operator, make_service):
    make_service("Shop")

    with pytest.raises(InvalidInputError, match="cannot be used"):
        catalogue.create_service(actor=operator, name="SHOP")

    assert Service.objects.count() == 1


def test_a_name_taken_meanwhile_is_refused_as_well(operator, make_service, monkeypatch):
    make_service("Shop")
    monkeypatch.setattr(catalogue, "validate", lambda _row: None)

    with pytest.raises(InvalidInputError, match="exists already"):
        catalogue.create_service(actor=operator, name="Shop")

    assert Service.objects.count() == 1


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://x.example/", "http://u:p@x.example"])
def test_a_service_links_to_web_addresses_only(operator, db, url):
    with pytest.raises(InvalidInputError) as caught:
        catalogue.create_service(actor=operator, name="Shop", url=url)

    assert list(caught.value.errors) == ["url"]


def test_an_update_is_audited_with_what_changed(operator, make_service):
    service = make_service("Shop", owner="web")

    catalogue.update_service(actor=operator, service_id=service.pk, owner="ops", name="Shop")

    payload = json.loads(AuditRecord.objects.get(action="service.updated").payload)
    assert (payload["before"], payload["after"]) == ({"owner": "web"}, {"owner": "ops"})


def test_an_update_without_change_writes_nothing(operator, make_service, make_check):
    check = make_check()

    catalogue.update_service(actor=operator, service_id=check.service_id, name=check.service.name)
    catalogue.update_check(actor=operator, check_id=check.pk, url=check.url)

    assert [action for action, _ in audited()] == [
        "service.created",
        "slo.created",
        "check.created",
    ]
    assert Check.objects.get().config_version == 1


def test_a_new_check_has_the_defaults_of_the_environment_and_an_unknown_state(make_check, settings):
    settings.UPTIME_INTERVAL_SEC, settings.UPTIME_STRIKES = 30, 3

    check = make_check()

    assert (check.interval_seconds, check.strikes_down, check.strikes_up) == (30, 3, 3)
    state, segment = CheckState.objects.get(), StateSegment.objects.get()
    assert (state.state, state.last_at) == ("unknown", None)
    assert (segment.standing, segment.started_at, segment.ended_at) == (
        "unknown",
        state.since,
        None,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://user:secret@example.org/"),
        ("url", "file:///etc/passwd"),
        ("url", "ftp://example.org/"),
        ("url", "http://169.254.169.254/latest/"),
        ("url", "http://[::ffff:169.254.169.254]/"),
        ("url", "http://2852039166/"),
        ("url", "http://0251.0376.0251.0376/"),
        ("url", ""),
        ("interval_seconds", 0),
        ("interval_seconds", -60),
        ("interval_seconds", "abc"),
        ("interval_seconds", 9),
        ("interval_seconds", 86_401),
        ("timeout_seconds", 0),
        ("timeout_seconds", 61),
        ("retry_interval_seconds", 0),
        ("strikes_down", 0),
        ("strikes_up", 0),
        ("strikes_up", 21),
        ("accept", "2xx"),
        ("body_contains", "a\0b"),
        ("degraded_ms", 0),
        ("method", "BREW"),
        ("headers", ["X-A"]),
        ("headers", {"X A": "1"}),
        ("headers", {"X-A": "1\r\nX-B: 2"}),
        ("headers", {"X-A": 1}),
        ("headers", {"Content-Length": "5"}),
        ("headers", {f"X-{n}": "1" for n in range(21)}),
        ("name", "a\0b"),
    ],
)
def test_a_check_that_cannot_be_is_refused_by_its_field(operator, make_service, field, value):
    service = make_service()
    fields = {"url": "http://127.0.0.1/", field: value}

    with pytest.raises(InvalidInputError) as caught:
        catalogue.create_check(actor=operator, service_id=service.pk, **fields)

    assert list(caught.value.errors) == [field]
    assert (Check.objects.count(), StateSegment.objects.count()) == (0, 0)


def test_a_timeout_longer_than_the_interval_is_refused(operator, make_check):
    check = make_check(interval_seconds=20, timeout_seconds=20)

    with pytest.raises(InvalidInputError) as caught:
        catalogue.update_check(actor=operator, check_id=check.pk, timeout_seconds=21)

    assert "timeout_seconds" in caught.value.errors
    assert Check.objects.get().timeout_seconds == 20


def test_every_change_of_a_check_gives_it_a_new_version(operator, make_check):
    check = make_check()

    catalogue.update_check(actor=operator, check_id=check.pk, url="http://127.0.0.1:10/")
    catalogue.update_check(actor=operator, check_id=check.pk, headers={"X-Key": "1"})

    assert Check.objects.get().config_version == 3


def test_headers_are_stored_sealed_and_told_to_nobody(operator, make_check):
    from django.db import connection

    check = make_check(headers={"Authorization": "Bearer hunter22"})
    catalogue.update_check(actor=operator, check_id=check.pk, headers={"X-Key": "hunter23"})

    assert Check.objects.get().headers == {"X-Key": "hunter23"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT headers FROM reliability_check")
        assert "hunter" not in cursor.fetchone()[0]
    assert not AuditRecord.objects.filter(payload__contains="hunter").exists()


def test_switching_a_check_off_ends_its_incident_and_makes_it_unknown(operator, make_check, see):
    check = make_check()
    see(check, True, False, False)

    catalogue.update_check(actor=operator, check_id=check.pk, enabled=False)

    assert Incident.objects.get().state == "resolved"
    assert CheckState.objects.get().state == "unknown"
    segment = StateSegment.objects.get(ended_at=None)
    assert (segment.standing, segment.reason) == ("unknown", "switched off")


def test_a_deleted_service_takes_its_checks_and_leaves_its_incidents(operator, make_check, see):
    check = make_check()
    see(check, True, False, False)

    catalogue.delete_service(actor=operator, service_id=check.service_id)

    assert (Service.objects.count(), Check.objects.count()) == (0, 0)
    incident = Incident.objects.get()
    assert (incident.state, incident.service_name, incident.check_of) == (
        "resolved",
        "Service 1",
        None,
    )
    assert [action for action, _ in audited()][-4:] == [
        "incident.resolved",
        "check.deleted",
        "slo.deleted",
        "service.deleted",
    ]


@pytest.mark.parametrize("act", [catalogue.update_check, catalogue.delete_check])
def test_a_check_that_does_not_exist_is_said_to_be_missing(operator, db, act):
    with pytest.raises(NotFoundError):
        act(actor=operator, check_id=1)


@pytest.mark.parametrize("act", [catalogue.update_service, catalogue.delete_service])
def test_a_service_that_does_not_exist_is_said_to_be_missing(operator, db, act):
    with pytest.raises(NotFoundError):
        act(actor=operator, service_id=1)


def test_the_api_and_the_forms_offer_exactly_what_can_be_set(console, make_user):
    from reliability.api.serializers import CheckSerializer, ServiceSerializer

    def offered(serializer):
        fields = serializer().get_fields()
        return {name for name, field in fields.items() if not field.read_only}

    assert offered(CheckSerializer) == {"service", *catalogue.CHECK_FIELDS}
    assert offered(ServiceSerializer) == set(catalogue.SERVICE_FIELDS)
    client = console(make_user(role="admin"))
    for noun, names in (
        ("service", catalogue.SERVICE_FIELDS),
        ("check", [*catalogue.OPEN_CHECK_FIELDS, "new_headers"]),
    ):
        form = client.get(f"/admin/reliability/{noun}/add/").content.decode()
        assert [name for name in names if f'name="{name}"' not in form] == []
