import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from core.errors import InvalidTransitionError
from notifications.models import Event
from reliability.engine.rules import CHECK_DOWN, SLO_SLOW_BURN
from reliability.models import Alert, Incident, IncidentEvent
from reliability.services import alerts, incidents

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
    pytest.mark.django_db(transaction=True),
]

MANY = 8


def together(*acts):
    """Run the acts at the same time and return what they raised."""
    ready, errors = threading.Barrier(len(acts)), []

    def run(act):
        try:
            ready.wait(30)
            act()
        except Exception as error:  # noqa: BLE001  # the caller judges it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return errors


@pytest.fixture
def service(make_service):
    return make_service("Shop")


@pytest.fixture
def fire(operator, service):
    def run(what, rule=SLO_SLOW_BURN):
        with transaction.atomic():
            alerts.fire(
                actor=operator,
                rule=rule,
                key={"what": str(what)},
                title=f"Alert {what}",
                detail="x",
                at=timezone.now(),
                service=service,
            )

    return run


@pytest.fixture
def resolve(operator):
    def run(what, rule=SLO_SLOW_BURN):
        with transaction.atomic():
            alerts.resolve(
                actor=operator, rule=rule, key={"what": str(what)}, at=timezone.now(), text="x"
            )

    return run


def acts(function, count=MANY, same=None):
    return [lambda n=n: function(n if same is None else same) for n in range(count)]


def test_one_thing_found_by_many_at_once_is_one_alert_and_one_message(fire):
    assert together(*acts(fire, same="it")) == []

    assert Alert.objects.get().count == MANY
    assert (Incident.objects.count(), Event.objects.count()) == (1, 1)


def test_many_things_of_a_service_at_once_are_one_incident(fire):
    assert together(*acts(fire)) == []

    incident = Incident.objects.get()
    assert incident.alerts.count() == Alert.objects.count() == MANY
    assert Event.objects.count() == 1
    assert IncidentEvent.objects.filter(kind="opened").count() == 1


def test_an_incident_whose_alerts_end_at_once_is_resolved_once(fire, resolve):
    for what in range(MANY):
        fire(what)

    assert together(*acts(resolve)) == []

    assert Incident.objects.get().state == "resolved"
    assert IncidentEvent.objects.filter(kind="resolved").count() == 1
    assert Event.objects.filter(status="resolved").count() == 1


def test_many_open_the_same_incident_again_once(fire, resolve):
    fire("first")
    resolve("first")

    assert together(*acts(fire)) == []

    incident = Incident.objects.get()
    assert (incident.state, incident.reopened) == ("triggered", 1)
    assert incident.alerts.exclude(state="resolved").count() == MANY


def test_alerts_that_come_and_go_at_once_leave_no_incident_behind(fire, resolve):
    def flip(what):
        for _ in range(10):
            fire(what)
            resolve(what)

    assert together(*acts(flip, count=4)) == []

    assert not Alert.objects.exclude(state="resolved").exists()
    assert not Incident.objects.exclude(state="resolved").exists()
    numbers = list(
        Event.objects.order_by("transition_seq").values_list("transition_seq", flat=True)
    )
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_incident_is_acknowledged_by_one_of_many(fire, operator):
    fire("it")
    key = Incident.objects.get().pk

    errors = together(*acts(lambda _: incidents.acknowledge(actor=operator, incident_id=key)))

    assert len(errors) == MANY - 1
    assert {type(error) for error in errors} == {InvalidTransitionError}
    assert IncidentEvent.objects.filter(kind="acknowledged").count() == 1


def test_an_acknowledgement_runs_out_once(fire, operator):
    fire("it", rule=CHECK_DOWN)
    key = Incident.objects.get().pk
    incidents.acknowledge(actor=operator, incident_id=key)
    Incident.objects.update(acknowledged_until=timezone.now() - timedelta(seconds=1))

    assert together(*acts(lambda _: incidents.expire_acknowledgements(actor=operator))) == []

    assert IncidentEvent.objects.filter(kind="expired").count() == 1
    assert Event.objects.count() == 2


def test_what_waits_is_told_together_once(fire, operator):
    for what in range(3):
        fire(what)
    Incident.objects.update(told_at=timezone.now() - timedelta(minutes=3))

    assert together(*acts(lambda _: alerts.release(actor=operator))) == []

    assert Event.objects.count() == 2


def test_resolving_by_hand_beside_an_ending_alert_tells_one_end(fire, resolve, operator):
    fire("it")
    key = Incident.objects.get().pk

    errors = together(
        lambda: resolve("it"),
        lambda: incidents.resolve(actor=operator, incident_id=key, reason="x"),
    )

    assert all(isinstance(error, InvalidTransitionError) for error in errors)
    incident = Incident.objects.get()
    assert (incident.state, incident.by_hand) == ("resolved", False)
    assert Event.objects.filter(status="resolved").count() == 1


def test_ends_beside_what_is_told_together_wait_for_each_other(fire, resolve, operator):
    """Neither end may hold what the other waits for."""
    for turn in range(10):
        for number in range(MANY):
            fire(f"{turn}-{number}")
        Incident.objects.update(told_at=timezone.now() - timedelta(minutes=5))
        ends = [lambda n=n, t=turn: resolve(f"{t}-{n}") for n in range(1, MANY)]

        assert together(*ends, lambda: alerts.release(actor=operator)) == []

        resolve(f"{turn}-0")
    assert not Alert.objects.exclude(state="resolved").exists()


def test_counting_beside_ends_and_releases_waits_for_its_turn(fire, resolve, operator):
    for number in range(4):
        fire(number)

    def several(*numbers):
        with transaction.atomic():
            for number in numbers:
                fire(number)

    for _ in range(10):
        Alert.objects.update(suppressed_by="parent: Router is down")
        acts_of_all = [
            lambda: several(0, 1, 2, 3),
            lambda: several(3, 2, 1, 0),
            lambda: resolve(1),
            lambda: resolve(2),
            lambda: alerts.release(actor=operator),
        ]
        assert together(*acts_of_all) == []
