import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections

from core.errors import InvalidTransitionError, NotFoundError
from reliability.engine.batch import Batch
from reliability.models import Alert, Check, CheckState, Incident, IncidentEvent, StateSegment
from reliability.services import catalogue, incidents, results

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
    pytest.mark.django_db(transaction=True),
]


def together(*acts):
    """Run the acts at the same time and return what they raised."""
    ready, errors = threading.Barrier(len(acts)), []

    def run(act):
        try:
            ready.wait(10)
            act()
        except Exception as error:  # noqa: BLE001  # the caller judges it
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_flushes_edits_and_deletions_do_not_lock_each_other_out(
    make_service, make_check, observe, held, operator
):
    service = make_service()
    checks = [make_check(service=service) for _ in range(6)]
    begin = datetime.now(UTC)
    rounds = []
    for number in range(10):
        batch = Batch()
        for check in checks:
            batch.prepend(observe(check, False, False, start=begin + timedelta(minutes=number)))
        rounds.append(batch)

    def flush():
        for batch in rounds:
            results.store(batch=batch, held=held)

    def edit():
        for number in range(20):
            check = checks[number % len(checks)]
            catalogue.update_check(
                actor=operator,
                check_id=check.pk,
                timeout_seconds=1 + number,
                enabled=number % 2 == 0,
            )

    def rename():
        for number in range(20):
            catalogue.update_service(
                actor=operator, service_id=service.pk, name=f"Service {number}"
            )

    assert together(flush, edit, rename) == []

    assert StateSegment.objects.filter(ended_at=None).count() == 6
    still_down = set(CheckState.objects.filter(standing="down").values_list("pk", flat=True))
    firing = Alert.objects.exclude(state="resolved").values_list("check_of_id", flat=True)
    assert set(firing) == still_down
    assert Incident.objects.exclude(state="resolved").count() == (1 if still_down else 0)


def test_a_deletion_and_a_flush_of_the_same_checks_both_end(
    make_service, make_check, observe, held, operator
):
    for _ in range(10):
        service = make_service()
        batch = Batch()
        for _ in range(4):
            batch.prepend(observe(make_check(service=service), False, False))

        errors = together(
            lambda service=service: catalogue.delete_service(actor=operator, service_id=service.pk),
            lambda batch=batch: results.store(batch=batch, held=held),
        )

        assert errors == []
    assert Check.objects.count() == 0
    assert not Incident.objects.exclude(state="resolved").exists()


def test_of_two_who_acknowledge_one_wins(make_check, see, operator):
    for number in range(1, 11):
        see(make_check(), False, False)
        incident = Incident.objects.latest("pk")

        def acknowledge(incident=incident):
            incidents.acknowledge(actor=operator, incident_id=incident.pk)

        errors = together(acknowledge, acknowledge)

        assert [type(error) for error in errors] == [InvalidTransitionError]
        assert IncidentEvent.objects.filter(kind="acknowledged").count() == number


def test_of_recovery_and_a_resolution_by_hand_one_tells_the_end(
    make_check, observe, see, held, operator
):
    for number in range(1, 11):
        check = make_check()
        see(check, False, False)
        incident = Incident.objects.latest("pk")
        recovery = observe(check, True, True)

        errors = together(
            lambda recovery=recovery: results.store(batch=recovery, held=held),
            lambda incident=incident: incidents.resolve(
                actor=operator, incident_id=incident.pk, reason="by hand"
            ),
        )

        assert {type(error) for error in errors} <= {InvalidTransitionError, NotFoundError}
        assert IncidentEvent.objects.filter(kind="resolved").count() == number
