import pytest

from notifications.models import Event
from reliability.models import Alert, Incident, IncidentEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    from rest_framework.test import APIClient

    return APIClient()


@pytest.fixture
def operator_api(api, make_user):
    api.force_authenticate(make_user(role="operator"))
    return api


@pytest.fixture
def base(make_service, make_check, see):
    see(make_check(service=make_service("Shop")), True, False, False)
    return f"/api/incidents/{Incident.objects.get().pk}/"


def send(api, base, step, **given):
    return api.post(f"{base}{step}/", given, format="json")


def test_the_whole_way_by_api(operator_api, base, see):
    assert send(operator_api, base, "acknowledge").data["state"] == "acknowledged"
    assert send(operator_api, base, "mitigate", text="Rolled back.").data["state"] == "mitigated"
    assert send(operator_api, base, "resolve", reason="Done.").data["state"] == "resolved"
    assert send(operator_api, base, "reopen", reason="No.").data["state"] == "triggered"
    see(Incident.objects.get().check_of, True, True)

    closed = send(operator_api, base, "close").data

    assert (closed["state"], closed["reopened"]) == ("closed", 1)
    kinds = [row["kind"] for row in closed["events"] if row["kind"] != "change"]
    assert kinds == [
        "opened",
        "acknowledged",
        "mitigated",
        "resolved",
        "reopened",
        "resolved",
        "closed",
    ]


def test_it_is_set_by_patch(operator_api, base, make_user):
    owner = make_user()
    given = {
        "severity": "warning",
        "owner": owner.username,
        "is_public": False,
        "post_mortem": "# Learned",
    }

    answer = operator_api.patch(base, given, format="json")

    assert answer.status_code == 200
    assert {name: answer.data[name] for name in given} == given
    gone = operator_api.patch(base, {"owner": None}, format="json")
    assert gone.data["owner"] is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"severity": "awful"}, "severity"),
        ({"owner": "nobody-of-this-name"}, "owner"),
        ({"is_public": "perhaps"}, "is_public"),
        ({"post_mortem": "x" * 40_001}, "post_mortem"),
        ({"state": "closed"}, "state"),
    ],
)
def test_what_cannot_be_set_is_refused_by_its_field(operator_api, base, given, field):
    before = list(Incident.objects.values())

    answer = operator_api.patch(base, given, format="json")

    assert (answer.status_code, list(answer.data["errors"])) == (400, [field])
    assert list(Incident.objects.values()) == before


@pytest.mark.parametrize(
    ("step", "given"),
    [
        ("mitigate", {}),
        ("resolve", {"reason": " "}),
        ("reopen", {"reason": ""}),
        ("updates", {"text": ""}),
        ("mitigate", {"text": "x", "state": "closed"}),
    ],
)
def test_a_step_without_its_text_changes_nothing(operator_api, base, step, given):
    answer = send(operator_api, base, step, **given)

    assert answer.status_code == 400
    assert (Incident.objects.get().state, Event.objects.count()) == ("triggered", 1)


def test_a_step_from_elsewhere_is_a_conflict(operator_api, base):
    answer = send(operator_api, base, "close")

    assert answer.status_code == 409
    assert Incident.objects.get().state == "triggered"


def test_an_update_for_strangers_is_published(operator_api, base):
    answer = send(operator_api, base, "updates", text="We are on it.")

    assert (answer.status_code, answer.data["kind"]) == (201, "update")


CHANGES = ["mitigate", "resolve", "reopen", "close", "updates"]


@pytest.mark.parametrize("role", ["engineer", "manager", "auditor"])
def test_who_only_reads_or_takes_care_changes_nothing(api, make_user, base, role):
    api.force_authenticate(make_user(role=role))
    traces = (IncidentEvent.objects.count(), list(Incident.objects.values()))

    answers = [send(api, base, step, text="x", reason="x") for step in CHANGES]
    answers.append(api.patch(base, {"severity": "info"}, format="json"))

    assert {answer.status_code for answer in answers} == {403}
    assert (IncidentEvent.objects.count(), list(Incident.objects.values())) == traces


def test_an_engineer_takes_care(api, make_user, base):
    api.force_authenticate(make_user(role="engineer"))

    assert send(api, base, "acknowledge").status_code == 200
    assert send(api, base, "notes", text="On it.").status_code == 201


def test_alerts_are_read_and_narrowed(operator_api, base):
    alert = Alert.objects.get()
    path = "/api/alerts/"

    shown = operator_api.get(f"{path}{alert.pk}/").data

    assert (shown["rule"], shown["state"], shown["incident"]) == (
        "check_down",
        "firing",
        alert.incident_id,
    )
    assert shown["check"] == alert.check_of_id
    for name, value, count in (
        ("state", "firing", 1),
        ("state", "resolved", 0),
        ("rule", "check_down", 1),
        ("severity", "info", 0),
        ("incident", alert.incident_id, 1),
        ("check", alert.check_of_id, 1),
        ("service", 999_999, 0),
    ):
        assert len(operator_api.get(path, {name: value}).data["results"]) == count
    assert operator_api.post(path, {}, format="json").status_code in {403, 405}


@pytest.mark.parametrize("path", ["/api/alerts/", "/api/ops/changes", "/api/incidents/"])
def test_lists_cost_the_same_at_any_length(
    operator_api, make_service, make_check, see, operator, django_assert_max_num_queries, path
):
    from reliability.services import changes

    for _ in range(12):
        service = make_service()
        see(make_check(service=service), True, False, False)
        changes.tell(actor=operator, service_id=service.pk, kind="deploy", title="x")
    operator_api.get(path)

    with django_assert_max_num_queries(4):
        answer = operator_api.get(path)

    assert len(answer.data["results"]) == 12
