from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actors import actor_for
from accounts.services import api_keys
from audit.models import AuditRecord
from audit.services.records import record
from core.errors import InvalidInputError
from reliability.engine.acts import act_in_words, acts_in_words
from reliability.models import Change, Incident, IncidentEvent
from reliability.selectors import changes as selector
from reliability.services import catalogue, changes

pytestmark = pytest.mark.django_db


@pytest.fixture
def tell(operator):
    def run(**fields):
        return changes.tell(
            actor=operator,
            **{"service_id": None, "kind": "deploy", "title": "Shop 1.2", **fields},
        )

    return run


def give_key(owner, scopes):
    _, raw = api_keys.create(
        actor=actor_for(owner), owner_id=owner.pk, label="pipeline", scopes=scopes
    )
    return raw


def lines():
    found = IncidentEvent.objects.filter(kind="change", text__startswith="Deploy")
    return list(found.order_by("at").values_list("text", "actor_name"))


def ago(**span):
    return timezone.now() - timedelta(**span)


def test_a_deploy_before_an_incident_stands_in_its_timeline(make_check, see, tell):
    check = make_check()
    tell(service_id=check.service_id, version="1.2.3", at=ago(minutes=50))
    tell(title="Everything", at=ago(minutes=40))
    tell(title="Long ago", at=ago(minutes=70))

    see(check, False, False)

    assert lines() == [
        ("Deploy: Shop 1.2 1.2.3", "command test"),
        ("Deploy: Everything", "command test"),
    ]
    assert Incident.objects.get().events.filter(kind="change").count() >= 2


def test_a_version_is_named_once(tell):
    assert selector.words(tell(title="Shop 4.7.1", version="4.7.1")) == "Deploy: Shop 4.7.1"
    assert selector.words(tell(title="Shop", version="4.7.1")) == "Deploy: Shop 4.7.1"


def test_a_deploy_of_another_service_does_not(make_check, make_service, see, tell):
    check = make_check()
    tell(service_id=make_service().pk, at=ago(minutes=5))

    see(check, False, False)

    assert lines() == []


def test_settings_and_rights_of_the_audit_log_stand_there_too(make_check, make_service, operator):
    check = make_check()
    other = make_check(service=make_service("Other"))
    catalogue.update_check(actor=operator, check_id=check.pk, accept="200")
    catalogue.update_check(actor=operator, check_id=other.pk, accept="200")

    found = selector.before(timezone.now(), check.service_id)

    texts = [change.text for change in found]
    assert f"Check updated: {check}" in texts
    assert not [text for text in texts if "Other" in text]
    assert {change.actor_name for change in found} == {"command test"}
    assert [change.at for change in found] == sorted(change.at for change in found)


@pytest.mark.parametrize("action", ["dashboard_key.used", "channel.tested", "api_key.warned"])
def test_an_act_that_changes_nothing_explains_nothing(make_check, operator, action):
    check = make_check()
    with transaction.atomic():
        record(actor=operator, action=action)

    texts = [change.text for change in selector.before(timezone.now(), check.service_id)]

    assert action not in texts
    assert f"Check created: {check}" in texts


def test_many_acts_of_a_kind_are_counted(make_service, make_check):
    service = make_service("Shop")
    for number in range(7):
        make_check(service=service, name=f"page {number}")

    texts = [change.text for change in selector.before(timezone.now(), service.pk)]

    assert [text for text in texts if "heck" in text] == ["7 checks created"]
    assert "Service created: Shop" in texts


def test_five_acts_of_a_kind_are_named(make_service, make_check):
    service = make_service("Shop")
    for number in range(5):
        make_check(service=service, name=f"page {number}")

    texts = [change.text for change in selector.before(timezone.now(), service.pk)]

    assert [text for text in texts if "heck" in text] == [
        f"Check created: Shop: page {number}" for number in range(5)
    ]


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("check.created", "6 checks created"),
        ("maintenance.declared", "6 maintenance declared"),
        ("role_policy.updated", "6 role policies updated"),
        ("allow_lists.cleared", "6 allow lists cleared"),
        ("api_key.revoked", "6 API keys revoked"),
    ],
)
def test_acts_are_counted_in_words(action, told):
    assert acts_in_words(action, 6) == told


@pytest.mark.parametrize(
    ("action", "target", "told"),
    [
        ("check.created", "Shop: home", "Check created: Shop: home"),
        ("slo.updated", "Shop", "Objective updated: Shop"),
        ("heartbeat.token_rotated", "Shop: job", "Heartbeat token rotated: Shop: job"),
        ("db.bypassed", "", "Database bypassed"),
        ("odd", "", "Odd"),
    ],
)
def test_an_act_is_told_in_words(action, target, told):
    assert act_in_words(action, target) == told


def test_telling_twice_with_a_key_records_once(tell, make_service):
    service = make_service()
    first = tell(service_id=service.pk, external_key="run-7")
    again = tell(title="Something else", external_key="run-7")

    assert (again.pk, again.title) == (first.pk, "Shop 1.2")
    assert Change.objects.count() == 1
    assert AuditRecord.objects.filter(action="change.recorded").count() == 1


def test_changes_without_a_key_are_each_recorded(tell):
    tell()
    tell()

    assert Change.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"service_id": 999_999}, "service"),
        ({"kind": "magic"}, "kind"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, "at"),
        ({"at": datetime(2999, 1, 1, tzinfo=UTC)}, "at"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(tell, fields, field):
    with pytest.raises(InvalidInputError) as refused:
        tell(**fields)

    assert list(refused.value.errors) == [field]
    assert Change.objects.count() == 0


def test_a_key_of_a_pipeline_may_tell_and_no_more(make_user, make_service, client):
    service = make_service("Shop")
    key = give_key(make_user(role="engineer"), ["reliability:changes"])

    answer = client.post(
        "/api/ops/changes",
        {"service_name": "shop", "title": "Release", "version": "2.0", "external_key": "run-1"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["service"], told["service_name"], told["kind"]) == (service.pk, "Shop", "deploy")
    shown = client.get("/api/ops/changes", headers={"Authorization": f"Bearer {key}"})
    assert [row["id"] for row in shown.json()["results"]] == [told["id"]]
    for path in ("/api/services/", "/api/incidents/", "/api/alerts/"):
        refused = client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert refused.status_code == 403


def test_the_service_is_named_once(client, make_user, make_service):
    key = give_key(make_user(role="engineer"), ["reliability:changes"])
    for given, field in (
        ({"service": make_service().pk, "service_name": "x"}, "service_name"),
        ({"service_name": "no such service"}, "service_name"),
        ({"service": 999_999}, "service"),
    ):
        answer = client.post(
            "/api/ops/changes",
            {"title": "x", **given},
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert Change.objects.count() == 0


def test_a_change_is_told_in_the_console(console, make_user, make_service):
    service = make_service("Shop")
    person = make_user(role="operator")
    client = console(person)
    now = timezone.now()

    answer = client.post(
        "/admin/reliability/change/add/",
        {
            "service": service.pk,
            "kind": "flag",
            "title": "New basket on",
            "version": "",
            "url": "https://flags.example.org/7",
            "at_0": f"{now:%Y-%m-%d}",
            "at_1": f"{now:%H:%M:%S}",
            "at": f"{now:%Y-%m-%dT%H:%M:%S}",
        },
    )

    assert answer.status_code == 302, answer.content.decode()[:4000]
    change = Change.objects.get()
    assert (change.title, change.told_by) == ("New basket on", actor_for(person).name)
    shown = client.get("/admin/reliability/change/").content.decode()
    assert "https://flags.example.org/7" in shown
    assert client.post(f"/admin/reliability/change/{change.pk}/delete/").status_code == 403
