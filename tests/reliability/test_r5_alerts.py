import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from notifications.models import Event
from reliability.engine import rules
from reliability.models import Alert, Incident, IncidentEvent
from reliability.services import alerts

pytestmark = pytest.mark.django_db


@pytest.fixture
def fire(operator, make_service):
    """Return a function that fires an alert; one service is the default of all."""
    services = []

    def run(what="a", *, rule=rules.SLO_SLOW_BURN, **fields):
        if "service" not in fields:
            services[:] = services or [make_service("Shop")]
            fields["service"] = services[0]
        return alerts.fire(
            actor=operator,
            rule=rule,
            key={"what": what},
            **{"title": f"Alert {what}", "detail": "Why.", "at": timezone.now(), **fields},
        )

    return run


@pytest.fixture
def resolve(operator):
    def run(what="a", *, rule=rules.SLO_SLOW_BURN, **fields):
        return alerts.resolve(
            actor=operator,
            rule=rule,
            key={"what": what},
            **{"at": timezone.now(), "text": "It is over.", **fields},
        )

    return run


def told():
    return list(Event.objects.order_by("pk").values_list("status", "severity", "title"))


def is_open():
    return Incident.objects.exclude(state__in=["resolved", "closed"])


def later(minutes):
    """Let the last message of every incident be so long ago."""
    Incident.objects.update(told_at=timezone.now() - timedelta(minutes=minutes))


def test_the_order_of_a_key_makes_no_other_alert():
    one = rules.fingerprint(rules.CHECK_DOWN, {"check": "1", "shard": "2"})

    assert one == rules.fingerprint(rules.CHECK_DOWN, {"shard": "2", "check": "1"})
    text = '["check_down",[["check","1"],["shard","2"]]]'
    assert one == hashlib.sha256(text.encode()).hexdigest()


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_two_keys_are_the_same_alert_only_if_they_are_equal(one, other):
    same = rules.fingerprint(rules.CHECK_DOWN, one) == rules.fingerprint(rules.CHECK_DOWN, other)

    assert same == (one == other)
    assert rules.fingerprint(rules.CHECK_DOWN, one) != rules.fingerprint(rules.PROBER_LATE, one)


def test_what_holds_already_is_counted_and_told_once(fire):
    first = fire(detail="First.")
    again = fire(detail="Second.")

    assert again.pk == first.pk
    alert = Alert.objects.get()
    assert (alert.count, alert.detail, alert.state) == (2, "Second.", "firing")
    assert told() == [("firing", "warning", "Alert a")]
    assert Incident.objects.count() == 1


def test_an_alert_knows_what_it_is_about(fire, make_check):
    check = make_check()
    began = timezone.now() - timedelta(minutes=3)

    fire(check=check, service=check.service, at=began, failure="status", labels={"x": "1"})

    alert = Alert.objects.get()
    assert (alert.check_of, alert.service, alert.starts_at) == (check, check.service, began)
    assert alert.labels == {"x": "1", "failure": "status"}
    assert Event.objects.get().labels == {
        "check": str(check.pk),
        "environment": "production",
        "tier": "standard",
        "failure": "status",
        "x": "1",
    }


def test_secrets_in_the_detail_are_hidden(fire):
    fire(detail="token=abcdef0123456789 refused")

    assert "abcdef0123456789" not in Alert.objects.get().detail


def test_ending_what_does_not_hold_changes_nothing(resolve, db):
    assert resolve() is None
    assert (Alert.objects.count(), Event.objects.count()) == (0, 0)


def test_an_alert_of_the_future_ends_no_sooner_than_it_began(fire, resolve):
    began = timezone.now() + timedelta(minutes=2)
    fire(at=began)

    resolve()

    alert = Alert.objects.get()
    assert (alert.state, alert.ends_at) == ("resolved", began)


def test_the_message_about_the_end_says_for_how_long(fire, resolve):
    began = timezone.now() - timedelta(minutes=4)
    fire(at=began)

    resolve(at=began + timedelta(minutes=4))

    assert Event.objects.latest("pk").body == "It is over. It lasted 4 min."
    assert told()[-1] == ("resolved", "warning", "Resolved: Alert a")


def test_alerts_of_a_service_and_group_are_one_incident(fire, resolve):
    fire("a")
    fire("b", rule=rules.SLO_BUDGET_LOW)
    fire("c", rule=rules.CHECK_FLAPPING)

    keys = Incident.objects.order_by("pk").values_list("dedup_key", flat=True)
    service_id = Alert.objects.first().service_id
    assert list(keys) == [f"objectives:{service_id}", f"availability:{service_id}"]
    resolve("a")
    assert is_open().count() == 2
    resolve("b", rule=rules.SLO_BUDGET_LOW)
    assert list(is_open().values_list("dedup_key", flat=True)) == [f"availability:{service_id}"]


def test_the_end_of_one_of_several_is_only_noted(fire, resolve):
    fire("a")
    fire("b")

    resolve("a")

    events = IncidentEvent.objects.exclude(kind="change").order_by("pk")
    assert list(events.values_list("kind", flat=True)) == ["opened", "alert", "alert"]
    assert events.last().text == "Resolved: Alert a. It is over."
    assert len(told()) == 1


def test_further_alerts_are_told_together(fire, operator):
    for what in "abcd":
        fire(what)
    assert [title for _, _, title in told()] == ["Alert a"]
    assert alerts.release(actor=operator) == 0

    later(minutes=3)

    assert alerts.release(actor=operator) == 3
    event = Event.objects.latest("pk")
    assert (event.title, event.body) == ("Shop: 3 more alerts", "Alert b\nAlert c\nAlert d")
    assert alerts.release(actor=operator) == 0


def test_many_are_named_up_to_ten(fire, operator):
    for number in range(13):
        fire(f"{number:02}")
    later(minutes=3)

    assert alerts.release(actor=operator) == 12
    assert Event.objects.latest("pk").body.splitlines()[-1] == "and 2 more"


def test_what_ended_before_it_was_told_is_not_told(fire, resolve, operator):
    fire("a")
    fire("b")
    resolve("b")
    later(minutes=3)

    assert alerts.release(actor=operator) == 0
    assert len(told()) == 1


def test_a_further_alert_after_a_while_is_told_at_once(fire):
    fire("a")
    later(minutes=3)

    fire("b")

    assert [title for _, _, title in told()] == ["Alert a", "Alert b"]


def test_a_graver_alert_raises_the_incident_and_is_told_at_once(fire, resolve):
    fire("a")

    fire("b", rule=rules.SLO_FAST_BURN)

    assert is_open().get().severity == "critical"
    assert told()[-1] == ("firing", "critical", "Alert b")
    resolve("b", rule=rules.SLO_FAST_BURN)
    assert is_open().get().severity == "critical"


def test_a_new_alert_triggers_what_was_held_to_be_mitigated(fire, operator):
    from reliability.services import incidents

    incident = fire("a").incident
    incidents.mitigate(actor=operator, incident_id=incident.pk, text="Rolled back.")

    fire("b")

    incident.refresh_from_db()
    assert (incident.state, incident.mitigated_at) == ("triggered", None)


def test_an_unimportant_alert_is_told_without_an_incident(fire, resolve):
    fire(rule=rules.HEARTBEAT_UNUSUAL)

    assert Incident.objects.count() == 0
    assert told() == [("info", "info", "Alert a")]
    assert resolve(rule=rules.HEARTBEAT_UNUSUAL).state == "resolved"
    assert len(told()) == 1


def test_numbers_of_messages_rise_within_an_incident(fire, resolve):
    fire()
    resolve()
    fire()

    numbers = Event.objects.order_by("pk").values_list("dedup_key", "transition_seq")
    key = f"incident:{Incident.objects.get().pk}"
    assert list(numbers) == [(key, 1), (key, 2), (key, 3)]


def test_a_rule_says_for_how_long_its_incident_opens_again(fire, resolve):
    fire()
    resolve()
    Incident.objects.update(resolved_at=timezone.now() - timedelta(days=2, hours=23))

    fire()

    assert Incident.objects.get().reopened == 1


def test_a_closed_incident_is_not_opened_again(fire, resolve, operator):
    from reliability.services import incidents

    incident = fire().incident
    resolve()
    incidents.close(actor=operator, incident_id=incident.pk)

    fire()

    assert list(Incident.objects.order_by("pk").values_list("state", flat=True)) == [
        "closed",
        "triggered",
    ]


def test_an_alert_of_the_platform_has_no_service(fire):
    fire(service=None, rule=rules.PROBER_LATE)

    incident = Incident.objects.get()
    assert (incident.dedup_key, incident.service_name) == ("prober:0", "OpsPlatform")


def test_troubles_that_only_people_end_stay_apart(operator, db):
    from reliability.services import incidents

    for key in ("audit-damaged", "audit-retention"):
        incidents.open_own(actor=operator, key=key, title=key, detail="x")
    assert incidents.open_own(actor=operator, key="audit-damaged", title="x", detail="y") is None

    first, second = is_open().order_by("pk")
    incidents.resolve(actor=operator, incident_id=first.pk, reason="mended")

    assert list(is_open()) == [second]
    assert Alert.objects.get(incident=first).state == "resolved"
    assert Event.objects.latest("pk").title == "Resolved: audit-damaged"
    again = incidents.open_own(actor=operator, key="audit-damaged", title="x", detail="y")
    assert again is not None
