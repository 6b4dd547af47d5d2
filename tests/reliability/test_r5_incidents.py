from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import actor_for
from audit.models import AuditRecord
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError
from notifications.models import Event
from reliability.models import Incident, IncidentEvent, StateSegment
from reliability.services import catalogue, incidents


def timeline():
    events = IncidentEvent.objects.exclude(kind="change").order_by("pk")
    return list(events.values_list("kind", "actor_name"))


def alerts():
    return list(
        Event.objects.order_by("pk").values_list("status", "severity", "transition_seq", "title")
    )


@pytest.fixture
def incident(make_check, make_service, see):
    check = make_check(service=make_service("Shop", tier="critical"), name="start page")
    see(check, True, False, False)
    return Incident.objects.get()


def test_going_down_opens_a_critical_incident_and_raises_the_alert(incident):
    assert (incident.state, incident.severity) == ("triggered", "critical")
    assert incident.title == "Shop (start page) is down"
    assert (incident.failure, incident.detail) == ("status", "HTTP 503 Service Unavailable")
    assert incident.excerpt == "<h1>Sorry</h1> password=[masked]"
    assert timeline() == [("opened", "uptime checks (schedule)")]
    event = Event.objects.get()
    assert (event.kind, event.status, event.service) == (
        "reliability.check_down",
        "firing",
        "Shop",
    )
    assert event.dedup_key == f"incident:{incident.pk}"
    assert incident.dedup_key == f"availability:{incident.service_id}"
    assert event.labels["tier"] == "critical"
    assert "Sorry" not in event.body
    assert event.links["incident"].endswith(f"/admin/reliability/incident/{incident.pk}/change/")


def test_coming_up_resolves_it_and_tells_again(incident, see):
    see(incident.check_of, True, True)

    incident.refresh_from_db()
    assert incident.state == "resolved"
    assert incident.resolved_at is not None
    assert [kind for kind, _ in timeline()] == ["opened", "resolved"]
    assert alerts() == [
        ("firing", "critical", 1, "Shop (start page) is down"),
        ("resolved", "critical", 2, "Shop (start page) is up again"),
    ]
    assert len(set(Event.objects.values_list("dedup_key", flat=True))) == 1


def test_the_next_outage_within_an_hour_opens_it_again_with_rising_numbers(incident, see):
    see(incident.check_of, True, True, False, False)

    incident.refresh_from_db()
    assert (incident.state, incident.reopened, incident.resolved_at) == ("triggered", 1, None)
    assert [kind for kind, _ in timeline()] == ["opened", "resolved", "reopened"]
    assert alerts()[1:] == [
        ("resolved", "critical", 2, "Shop (start page) is up again"),
        ("firing", "critical", 3, "Again: Shop (start page) is down"),
    ]


def test_an_outage_after_more_than_an_hour_is_another_incident(incident, see):
    see(incident.check_of, True, True)
    Incident.objects.update(resolved_at=timezone.now() - timedelta(hours=1, seconds=1))

    see(incident.check_of, False, False, start=timezone.now())

    assert list(Incident.objects.order_by("pk").values_list("state", "reopened")) == [
        ("resolved", 0),
        ("triggered", 0),
    ]
    assert len(set(Event.objects.values_list("dedup_key", flat=True))) == 2


def test_a_blip_opens_nothing(make_check, see):
    see(make_check(), True, False, True)

    assert (Incident.objects.count(), Event.objects.count()) == (0, 0)


def test_a_check_that_never_was_up_opens_one_too(make_check, see):
    see(make_check(), False, False)

    assert Incident.objects.get().state == "triggered"


def test_acknowledging_names_the_owner_and_is_recorded(incident, make_user):
    user = make_user("reliability.acknowledge_incident")

    incidents.acknowledge(actor=actor_for(user), incident_id=incident.pk)

    incident.refresh_from_db()
    assert (incident.state, incident.owner) == ("acknowledged", user)
    assert timeline()[-1] == ("acknowledged", user.username)
    assert AuditRecord.objects.filter(action="incident.acknowledged").count() == 1


def test_an_incident_is_acknowledged_once(incident, operator):
    incidents.acknowledge(actor=operator, incident_id=incident.pk)

    with pytest.raises(InvalidTransitionError, match="acknowledged already"):
        incidents.acknowledge(actor=operator, incident_id=incident.pk)

    assert len(timeline()) == 2


def test_an_acknowledged_incident_is_resolved_by_recovery(incident, operator, see):
    incidents.acknowledge(actor=operator, incident_id=incident.pk)

    see(incident.check_of, True, True)

    incident.refresh_from_db()
    assert (incident.state, alerts()[-1][0]) == ("resolved", "resolved")


def test_resolving_by_hand_tells_why(incident, operator):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason=" planned \r\n work ")

    assert Incident.objects.get().state == "resolved"
    assert IncidentEvent.objects.latest("pk").text == "planned \n work"
    assert alerts()[-1][:3] == ("resolved", "critical", 2)


def test_an_end_by_hand_does_not_say_that_it_is_up_again(incident, operator):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="known")

    assert alerts()[-1][3] == "Shop (start page) was marked as resolved by hand"


def test_switching_off_does_not_say_that_it_is_up_again(incident, operator):
    catalogue.update_check(actor=operator, check_id=incident.check_of_id, enabled=False)

    assert alerts()[-1][::3] == ("resolved", "Shop (start page) is no longer checked: switched off")


def test_deleting_does_not_say_that_it_is_up_again(incident, operator):
    catalogue.delete_check(actor=operator, check_id=incident.check_of_id)

    assert alerts()[-1][::3] == ("resolved", "Shop (start page) is no longer checked: deleted")


def test_resolving_twice_is_refused(incident, operator):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="done")

    with pytest.raises(InvalidTransitionError):
        incidents.resolve(actor=operator, incident_id=incident.pk, reason="again")

    assert (len(timeline()), len(alerts())) == (2, 2)


def test_recovery_after_resolving_by_hand_tells_nothing_more(incident, operator, see):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="done")

    see(incident.check_of, True, True)

    assert (len(timeline()), len(alerts())) == (2, 2)


def test_what_was_resolved_by_hand_stays_so_over_a_time_without_a_prober(incident, operator, see):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="known")

    see(incident.check_of, False, False, start=timezone.now() + timedelta(hours=1))

    standings = StateSegment.objects.order_by("pk").values_list("standing", flat=True)
    assert list(standings)[-3:] == ["down", "unknown", "down"]
    assert (Incident.objects.count(), len(alerts())) == (1, 2)


def test_after_resolving_by_hand_and_an_up_the_next_outage_opens_an_incident(
    incident, operator, see
):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="known")

    see(incident.check_of, True, True, False, False)

    assert Incident.objects.latest("pk").state == "triggered"
    assert [alert[0] for alert in alerts()] == ["firing", "resolved", "firing"]


def test_a_check_switched_off_and_on_forgets_what_was_resolved_by_hand(incident, operator, see):
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="known")
    for enabled in (False, True):
        catalogue.update_check(actor=operator, check_id=incident.check_of_id, enabled=enabled)

    see(incident.check_of, False, False, start=timezone.now())

    assert Incident.objects.latest("pk").state == "triggered"


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001, "a\0b", "a\ud800"])
def test_a_note_must_say_something_storable(incident, operator, text):
    with pytest.raises(InvalidInputError):
        incidents.add_note(actor=operator, incident_id=incident.pk, text=text)

    assert len(timeline()) == 1


def test_a_note_stands_in_the_timeline(incident, operator):
    incidents.add_note(actor=operator, incident_id=incident.pk, text="<b>calling</b> the host")

    assert IncidentEvent.objects.latest("pk").text == "<b>calling</b> the host"
    assert AuditRecord.objects.filter(action="incident.noted").count() == 1


def test_an_incident_that_does_not_exist_is_said_to_be_missing(operator, db):
    with pytest.raises(NotFoundError):
        incidents.acknowledge(actor=operator, incident_id=1)
