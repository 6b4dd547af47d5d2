"""What services and incidents tell the console."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core import jobs
from core.actors import SYSTEM, Actor, ActorKind
from notifications.models import FeedEntry
from reliability.models import Incident, UptimeTest
from reliability.services import catalogue, incidents, news, uptime_tests

pytestmark = pytest.mark.django_db(transaction=True)


def told():
    rows = FeedEntry.objects.order_by("pk").values_list("audience", "kind", "payload")
    return [(audience.partition(":")[2], kind, payload) for audience, kind, payload in rows]


def test_changes_of_the_catalogue_are_told():
    service = catalogue.create_service(actor=SYSTEM, name="Shop")
    check = catalogue.create_check(
        actor=SYSTEM, service_id=service.pk, url="https://shop.example.com/"
    )
    catalogue.update_check(actor=SYSTEM, check_id=check.pk, name="front")
    catalogue.update_check(actor=SYSTEM, check_id=check.pk, name="front")
    catalogue.delete_check(actor=SYSTEM, check_id=check.pk)
    catalogue.delete_service(actor=SYSTEM, service_id=service.pk)

    def change(check_id, state=""):
        data = {"service": service.pk, "check": check_id, "state": state}
        return ("services", "service.changed", data)

    assert told() == [
        change(None),
        change(check.pk, "unknown"),
        change(check.pk),
        change(check.pk),
        # Its objective goes with the service.
        change(None),
        change(None),
    ]


def test_a_refused_change_is_not_told():
    catalogue.create_service(actor=SYSTEM, name="Shop")
    with pytest.raises(Exception, match="cannot be used"):
        catalogue.create_service(actor=SYSTEM, name="shop")
    assert len(told()) == 1


def test_the_person_who_asked_is_told_of_the_end(make_user):
    user = make_user()
    news.job_finished(user_id=user.pk, title="Uptime test done", url="/x", ok=True)
    assert told() == [
        (str(user.pk), "job.finished", {"title": "Uptime test done", "url": "/x", "ok": True})
    ]


def test_an_outage_is_told_once_with_its_incident(make_check, see):
    check = make_check(strikes_down=2, strikes_up=1)
    see(check, True)
    FeedEntry.objects.all().delete()

    see(check, False, False)
    incident = Incident.objects.get()
    incidents.acknowledge(actor=SYSTEM, incident_id=incident.pk)
    incidents.add_note(actor=SYSTEM, incident_id=incident.pk, text="looking")
    see(check, True)

    def step(state):
        data = {"incident": incident.pk, "service": check.service_id, "state": state}
        return ("incidents", "incident.changed", data)

    def state(said):
        data = {"service": check.service_id, "check": check.pk, "state": said}
        return ("services", "service.changed", data)

    assert [one for one in told() if one[0] == "incidents"] == [
        step("triggered"),
        step("acknowledged"),
        step("acknowledged"),
        step("resolved"),
    ]
    assert [one for one in told() if one[0] == "services"] == [state("down"), state("up")]


def test_results_that_change_nothing_are_not_told(make_check, see):
    check = make_check()
    see(check, True)
    FeedEntry.objects.all().delete()

    see(check, True, True)

    assert told() == []


def test_the_end_of_an_uptime_test_is_told_to_who_asked(make_check, make_user, sent):
    user = make_user()
    make_check("http://127.0.0.1:9/")
    actor = Actor(ActorKind.USER, str(user.pk), user.username, user.pk)
    test = uptime_tests.request(actor=actor)
    FeedEntry.objects.all().delete()

    uptime_tests.perform(job_id=str(test.pk))

    data = {
        "title": "Uptime test done",
        "url": f"/admin/reliability/uptimetest/{test.pk}/change/",
        "ok": False,
    }
    assert told() == [(str(user.pk), "job.finished", data)]


@pytest.mark.parametrize("end", ["cancelled while it waits", "cancelled by the sweep", "lost"])
def test_the_end_of_a_test_that_no_worker_ends_is_told_too(make_check, make_user, sent, end):
    user = make_user()
    make_check("http://127.0.0.1:9/")
    actor = Actor(ActorKind.USER, str(user.pk), user.username, user.pk)
    test = uptime_tests.request(actor=actor)
    FeedEntry.objects.all().delete()

    if end == "lost":
        UptimeTest.objects.update(attempts=2)
        jobs.begin(UptimeTest, str(test.pk))
        UptimeTest.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=10))
    elif end == "cancelled by the sweep":
        UptimeTest.objects.update(cancel_requested_at=timezone.now())
    else:
        uptime_tests.cancel(actor=actor, test_id=str(test.pk))
    jobs.sweep_jobs()
    jobs.sweep_jobs()

    data = {
        "title": "Uptime test failed" if end == "lost" else "Uptime test cancelled",
        "url": f"/admin/reliability/uptimetest/{test.pk}/change/",
        "ok": False,
    }
    assert told() == [(str(user.pk), "job.finished", data)]


def test_the_end_of_a_test_that_a_command_asked_for_is_told_to_nobody(make_check, operator, sent):
    make_check("http://127.0.0.1:9/")
    test = uptime_tests.request(actor=operator)
    FeedEntry.objects.all().delete()

    uptime_tests.perform(job_id=str(test.pk))

    assert told() == []
