from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import Event
from reliability.engine import rules
from reliability.models import (
    Alert,
    Check,
    CheckState,
    Incident,
    MaintenanceOccurrence,
    MaintenanceWindow,
)
from reliability.services import alerts, check_alerts
from tests.reliability.conftest import result_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def family(make_service, make_check):
    """Return a parent and its child, of two services."""
    parent = make_check(service=make_service("Router"))
    child = make_check(service=make_service("Shop"))
    child.parents.add(parent)
    stand(parent, "up", asked_ago=1)
    stand(child, "up", asked_ago=1)
    return parent, child


@pytest.fixture
def fall(operator):
    """Return a function that tells that a check went down."""

    def run(check, *, ago=30):
        since = timezone.now() - timedelta(seconds=ago)
        result = result_of(check, ok=False, at=since)
        stand(check, "down", asked_ago=0, since=since)
        return check_alerts.went_down(actor=operator, check=check, result=result, since=since)

    return run


@pytest.fixture
def release(operator):
    return lambda: alerts.release(actor=operator)


def stand(check, state, *, asked_ago=0, since=None, streak_fail=0):
    """Let a check stand like this."""
    now = timezone.now()
    standing = {"suspect": "up", "recovering": "down"}.get(state, state)
    CheckState.objects.filter(pk=check.pk).update(
        state=state,
        standing=standing,
        since=since or now - timedelta(hours=1),
        streak_fail=streak_fail,
        last_at=now - timedelta(seconds=asked_ago),
    )


def begin_maintenance(*services, minutes=30):
    now = timezone.now()
    window = MaintenanceWindow.objects.create(
        title="New disks", starts_at=now, duration_seconds=60 * minutes, declared_by="test"
    )
    window.services.set(services)
    return MaintenanceOccurrence.objects.create(
        window=window,
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(minutes=minutes),
    )


def reason(check):
    return Alert.objects.filter(check_of=check).latest("pk").suppressed_by


def told():
    return list(Event.objects.order_by("pk").values_list("title", flat=True))


def test_a_child_of_what_is_down_is_kept_back(family, fall):
    parent, child = family
    fall(parent)

    alert = fall(child)

    assert alert.incident is None
    assert reason(child).startswith("parent: Router")
    assert reason(child).endswith("is down")
    assert told() == ["Router is down"]
    assert Incident.objects.count() == 1


def test_a_hundred_children_are_one_message(make_service, make_check, fall):
    parent = make_check(service=make_service("Router"))
    shop = make_service("Shop")
    children = [make_check(service=shop) for _ in range(100)]
    for child in children:
        child.parents.add(parent)
    stand(parent, "up", asked_ago=1)

    fall(parent)
    for child in children:
        fall(child)

    assert told() == ["Router is down"]
    assert Alert.objects.exclude(suppressed_by="").count() == 100


def test_a_parent_that_is_still_a_suspect_keeps_its_child_back(family, fall, release):
    parent, child = family
    stand(parent, "suspect", streak_fail=1)

    fall(child)
    assert reason(child).endswith("fails too")
    assert told() == []

    fall(parent)
    assert release() == 0
    assert reason(child).endswith("is down")
    assert told() == ["Router is down"]


def test_a_suspect_that_was_only_a_blip_lets_its_child_be_told(family, fall, release):
    parent, child = family
    stand(parent, "suspect", streak_fail=1)
    fall(child)

    stand(parent, "up")

    assert release() == 1
    assert reason(child) == ""
    assert told() == ["Shop is down"]


def test_a_child_waits_for_the_next_look_at_its_parent(family, fall, release):
    parent, child = family
    stand(parent, "up", asked_ago=50)

    fall(child)
    assert reason(child).endswith("was not asked since")

    stand(parent, "up", asked_ago=0)
    assert release() == 1
    assert told() == ["Shop is down"]


def test_it_does_not_wait_for_a_parent_for_ever(family, fall):
    parent, child = family
    stand(parent, "up", asked_ago=3600)

    fall(child, ago=91)

    assert told() == ["Shop is down"]


def test_a_parent_that_is_switched_off_explains_nothing(family, fall):
    parent, child = family
    fall(parent)
    type(parent).objects.filter(pk=parent.pk).update(enabled=False)

    fall(child)

    assert reason(child) == ""


def test_after_its_parent_a_child_has_time_to_come_up_too(family, fall, release, operator):
    parent, child = family
    fall(parent, ago=600)
    fall(child, ago=500)
    stand(child, "down", asked_ago=40)

    up_since = timezone.now() - timedelta(seconds=20)
    stand(parent, "up", since=up_since)
    check_alerts.came_up(actor=operator, check=parent, since=up_since)
    assert release() == 0
    stand(child, "recovering")
    assert release() == 0

    check_alerts.came_up(actor=operator, check=child, since=timezone.now())
    assert told() == ["Router is down", "Router is up again"]


def test_a_child_that_fails_without_its_parent_is_told(family, fall, release, operator):
    parent, child = family
    fall(parent, ago=600)
    fall(child, ago=500)

    up_since = timezone.now() - timedelta(seconds=20)
    stand(parent, "up", since=up_since)
    check_alerts.came_up(actor=operator, check=parent, since=up_since)
    stand(child, "down", asked_ago=5)

    assert release() == 1
    assert told()[-1] == "Shop is down"
    assert Incident.objects.latest("pk").service.name == "Shop"


def test_a_certificate_expires_whatever_its_parent_does(family, fall, operator):
    parent, child = family
    fall(parent)

    alert = alerts.fire(
        actor=operator,
        rule=rules.CERTIFICATE_EXPIRES,
        key=check_alerts.key_of(child),
        title="The certificate of Shop expires",
        detail="In 3 days.",
        at=timezone.now(),
        service=child.service,
        check=child,
    )

    assert (alert.suppressed_by, alert.incident is None) == ("", False)


@pytest.mark.parametrize("named", [True, False], ids=["of the service", "of every service"])
def test_nobody_is_told_during_maintenance_and_what_still_holds_comes_after(
    make_check, fall, release, named
):
    check = make_check()
    occurrence = begin_maintenance(*([check.service] if named else []))

    fall(check)

    assert reason(check) == "maintenance: New disks"
    assert (told(), release()) == ([], 0)
    MaintenanceOccurrence.objects.filter(pk=occurrence.pk).update(
        ends_at=timezone.now() - timedelta(seconds=1)
    )
    assert release() == 1
    assert len(told()) == 1
    assert Incident.objects.get().started_at == Alert.objects.get().starts_at


def test_what_ends_within_maintenance_is_never_told(make_check, fall, operator):
    check = make_check()
    begin_maintenance(check.service)
    fall(check)

    check_alerts.came_up(actor=operator, check=check, since=timezone.now())

    assert Alert.objects.get().state == "resolved"
    assert (told(), Incident.objects.count()) == ([], 0)


def test_maintenance_of_another_service_silences_nothing(make_check, make_service, fall):
    begin_maintenance(make_service("Other"))

    fall(make_check())

    assert len(told()) == 1


@pytest.fixture
def flap(operator):
    def run(check):
        alerts.fire(
            actor=operator,
            rule=rules.CHECK_FLAPPING,
            key=check_alerts.key_of(check),
            title=f"{check.service.name} flaps",
            detail="It went up and down again and again.",
            at=timezone.now(),
            service=check.service,
            check=check,
        )

    return run


def end_flapping(check, operator):
    alerts.resolve(
        actor=operator,
        rule=rules.CHECK_FLAPPING,
        key=check_alerts.key_of(check),
        at=timezone.now(),
        text="It stands.",
        what="no longer flaps",
    )


def test_a_flapping_check_is_told_once(make_service, make_check, fall, flap, operator):
    check = make_check(service=make_service("Shop"))
    flap(check)
    for _ in range(5):
        fall(check)
        assert reason(check) == "flapping"
        check_alerts.came_up(actor=operator, check=check, since=timezone.now())

    end_flapping(check, operator)

    assert told() == ["Shop flaps", "Shop no longer flaps"]
    assert Incident.objects.get().state == "resolved"


def test_what_is_down_when_the_flapping_ends_keeps_its_incident(
    make_service, make_check, fall, flap, operator
):
    check = make_check(service=make_service("Shop"))
    flap(check)
    fall(check)

    end_flapping(check, operator)

    incident = Incident.objects.get()
    assert (incident.state, incident.reopened, incident.severity) == ("triggered", 0, "critical")
    assert told() == ["Shop flaps", "Shop is down"]


def test_release_costs_the_same_for_any_number(
    family, fall, release, django_assert_max_num_queries
):
    parent, child = family
    fall(parent)
    for number in range(40):
        other = type(child).objects.create(
            service=child.service, url=f"http://127.0.0.1:9/{number}"
        )
        CheckState.objects.create(check_of=other)
        other.parents.add(parent)
        fall(other)

    with django_assert_max_num_queries(9):
        assert release() == 0


def test_a_patient_parent_hides_its_child_for_minutes_at_most(family, fall, release):
    parent, child = family
    Check.objects.filter(pk=parent.pk).update(
        strikes_down=10, interval_seconds=3600, retry_interval_seconds=3600
    )
    stand(parent, "suspect", streak_fail=1)
    began = timezone.now() - timedelta(minutes=4)
    CheckState.objects.filter(pk=parent.pk).update(streak_at=began)
    fall(child)
    assert reason(child).endswith("fails too")

    CheckState.objects.filter(pk=parent.pk).update(streak_at=began - timedelta(minutes=2))

    assert release() == 1
    assert told() == ["Shop is down"]


@pytest.mark.parametrize("state", ["suspect", "down"])
def test_a_parent_that_nobody_asks_any_more_explains_nothing(family, fall, release, state):
    parent, child = family
    stand(parent, state, streak_fail=1)
    fall(child)
    assert reason(child).startswith("parent: Router")

    stand(parent, state, streak_fail=1, asked_ago=600)
    CheckState.objects.filter(pk=child.pk).update(last_at=timezone.now())
    Alert.objects.update(starts_at=timezone.now() - timedelta(minutes=5))

    assert release() == 1
    assert told() == ["Shop is down"]
