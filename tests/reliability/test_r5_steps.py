from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import actor_for
from audit.models import AuditRecord
from core.errors import InvalidInputError, InvalidTransitionError
from notifications.models import Event
from reliability.models import (
    Incident,
    IncidentEvent,
    MaintenanceOccurrence,
    MaintenanceWindow,
)
from reliability.services import catalogue, incidents

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(make_check, make_service, see):
    see(make_check(service=make_service("Shop")), True, False, False)
    return Incident.objects.get()


@pytest.fixture
def step(operator, incident):
    """Return a function that takes a step by name."""

    def run(name, **fields):
        return getattr(incidents, name)(actor=operator, incident_id=incident.pk, **fields)

    return run


def kinds():
    return list(
        IncidentEvent.objects.exclude(kind="change").order_by("pk").values_list("kind", flat=True)
    )


def told():
    return list(Event.objects.order_by("pk").values_list("status", "severity", "title"))


def traces():
    """Return what a refused step must not add."""
    return (
        IncidentEvent.objects.count(),
        Event.objects.count(),
        AuditRecord.objects.filter(action__startswith="incident.").count(),
        list(Incident.objects.values()),
    )


def test_the_whole_way_of_an_incident(incident, step, see):
    step("acknowledge")
    step("mitigate", text="Rolled back.")
    assert Incident.objects.get().mitigated_at is not None
    see(incident.check_of, True, True)
    step("close")

    assert kinds() == ["opened", "acknowledged", "mitigated", "resolved", "closed"]
    actions = AuditRecord.objects.filter(action__startswith="incident.").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "incident.opened",
        "incident.acknowledged",
        "incident.mitigated",
        "incident.resolved",
        "incident.closed",
    ]
    incident.refresh_from_db()
    assert (incident.state, incident.closed_at is not None) == ("closed", True)


@pytest.mark.parametrize(
    ("before", "name", "fields"),
    [
        ([], "close", {}),
        ([], "reopen", {"reason": "x"}),
        ([("acknowledge", {})], "acknowledge", {}),
        ([("mitigate", {"text": "x"})], "mitigate", {"text": "x"}),
        ([("mitigate", {"text": "x"})], "acknowledge", {}),
        ([("resolve", {"reason": "x"})], "mitigate", {"text": "x"}),
        ([("resolve", {"reason": "x"})], "close", {}),
    ],
)
def test_a_step_from_elsewhere_is_refused_and_changes_nothing(step, before, name, fields):
    for earlier, given in before:
        step(earlier, **given)
    traced = traces()

    with pytest.raises(InvalidTransitionError):
        step(name, **fields)

    assert traces() == traced


def test_an_acknowledgement_of_a_critical_incident_runs_out(incident, operator, make_user):
    user = make_user("reliability.acknowledge_incident")
    incidents.acknowledge(actor=actor_for(user), incident_id=incident.pk)
    assert incidents.expire_acknowledgements(actor=operator) == 0
    Incident.objects.update(acknowledged_until=timezone.now())

    assert incidents.expire_acknowledgements(actor=operator) == 1

    incident.refresh_from_db()
    assert (incident.state, incident.owner, incident.acknowledged_until) == (
        "triggered",
        user,
        None,
    )
    assert kinds()[-1] == "expired"
    assert told()[-1] == ("firing", "critical", "Still: Shop is down")
    assert incidents.expire_acknowledgements(actor=operator) == 0
    assert len(told()) == 2


def test_an_acknowledgement_holds_half_an_hour(step):
    step("acknowledge")

    incident = Incident.objects.get()
    assert incident.acknowledged_until - incident.acknowledged_at == timedelta(minutes=30)


def test_an_acknowledgement_of_a_milder_incident_does_not_run_out(step):
    step("set_severity", severity="warning")
    step("acknowledge")

    assert Incident.objects.get().acknowledged_until is None


def test_an_acknowledgement_does_not_run_out_during_maintenance(incident, step, operator):
    step("acknowledge")
    now = timezone.now()
    Incident.objects.update(acknowledged_until=now)
    window = MaintenanceWindow.objects.create(
        title="x", starts_at=now, duration_seconds=600, declared_by="test"
    )
    occurrence = MaintenanceOccurrence.objects.create(
        window=window,
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(minutes=9),
    )

    assert incidents.expire_acknowledgements(actor=operator) == 0
    MaintenanceOccurrence.objects.filter(pk=occurrence.pk).update(ends_at=now)
    assert incidents.expire_acknowledgements(actor=operator) == 1


def test_what_was_resolved_too_early_is_opened_again(step):
    step("resolve", reason="done")
    step("reopen", reason="It is not.")

    incident = Incident.objects.get()
    assert (incident.state, incident.resolved_at, incident.by_hand, incident.reopened) == (
        "triggered",
        None,
        False,
        1,
    )
    assert told()[-1] == ("firing", "critical", "Again: Shop is down")


def test_one_is_not_opened_beside_a_newer_one(incident, step, operator, make_check, see):
    step("resolve", reason="done")
    see(make_check(service=incident.service), True, False, False)
    assert Incident.objects.count() == 2
    traced = traces()

    with pytest.raises(InvalidTransitionError, match="newer incident"):
        step("reopen", reason="x")

    assert traces() == traced


def test_a_person_chooses_the_severity_and_alerts_no_longer_raise_it(
    incident, step, make_check, see
):
    step("set_severity", severity="info")
    assert told()[-1] == ("firing", "info", "Shop is down")

    see(make_check(service=incident.service), True, False, False)

    incident.refresh_from_db()
    assert (incident.severity, incident.severity_is_set) == ("info", True)


def test_the_severity_it_has_already_is_not_chosen(step):
    traced = traces()

    step("update", severity="critical")

    assert traces() == traced


def test_an_unknown_severity_is_refused(step):
    traced = traces()

    with pytest.raises(InvalidInputError):
        step("set_severity", severity="awful")

    assert traces() == traced


def test_an_owner_is_named_and_taken_away(step, make_user):
    user = make_user()
    step("set_owner", owner=user.username)
    assert Incident.objects.get().owner == user
    step("set_owner", owner=None)
    assert Incident.objects.get().owner is None
    assert kinds() == ["opened", "owner", "owner"]

    traced = traces()
    with pytest.raises(InvalidInputError):
        step("set_owner", owner="nobody-of-this-name")
    assert traces() == traced


def test_setting_what_is_set_already_leaves_no_trace(step, make_user):
    user = make_user()
    fields = {"severity": "warning", "owner": user.username, "is_public": False, "post_mortem": "x"}
    step("update", **fields)
    traced = traces()

    step("update", **fields)

    assert traces() == traced


def test_several_things_are_set_at_once_or_none(step):
    traced = traces()

    with pytest.raises(InvalidInputError):
        step("update", severity="warning", owner="nobody-of-this-name")

    assert traces() == traced


def test_a_post_mortem_is_kept_and_its_text_judged(step):
    step("write_post_mortem", text="  # What we learned \r\n\r\n- Test it.  ")
    assert Incident.objects.get().post_mortem == "# What we learned \n\n- Test it."

    for bad in ("a\0b", "x" * 40_001, "a\ud800"):
        traced = traces()
        with pytest.raises(InvalidInputError):
            step("write_post_mortem", text=bad)
        assert traces() == traced


def test_an_update_for_strangers_stands_in_the_timeline(step):
    step("publish_update", text="We are on it.")

    event = IncidentEvent.objects.latest("pk")
    assert (event.kind, event.text) == ("update", "We are on it.")
    assert AuditRecord.objects.filter(action="incident.update_published").count() == 1


def test_deleting_a_check_ends_its_alerts_and_keeps_the_record(incident, operator):
    catalogue.delete_check(actor=operator, check_id=incident.check_of_id)

    incident.refresh_from_db()
    assert (incident.state, incident.check_of) == ("resolved", None)
    alert = incident.alerts.get()
    assert (alert.state, alert.check_of) == ("resolved", None)


def test_deleting_a_service_ends_its_incident(incident, operator):
    catalogue.delete_service(actor=operator, service_id=incident.service_id)

    incident.refresh_from_db()
    assert (incident.state, incident.service, incident.service_name) == ("resolved", None, "Shop")
