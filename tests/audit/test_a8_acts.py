"""An act that changes a watched table leaves its record, however it writes (A8)."""

from contextlib import suppress

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from audit.models import AuditRecord
from audit.services.acts import UnrecordedActError, act, unwatched
from audit.services.records import record, record_error, record_refusal
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db


def count(action):
    return AuditRecord.objects.filter(action=action).count()


def run(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def create():
    Group.objects.create(name="new")


def create_many():
    Group.objects.bulk_create([Group(name="new")])


def create_quietly():
    Group.objects.bulk_create([Group(name="new")], ignore_conflicts=True)


def create_by_hand():
    run("INSERT INTO auth_group (name) VALUES ('new')")


@pytest.mark.parametrize("write", [create, create_many, create_quietly, create_by_hand])
def test_an_act_that_only_creates_needs_a_record(write):
    with pytest.raises(UnrecordedActError, match="auth_group"), act():
        write()
    assert not Group.objects.filter(name="new").exists()
    with act():
        write()
        record(actor=SYSTEM, action="group.created")
    assert Group.objects.filter(name="new").exists()
    assert count("db.bypassed") == 0


def test_an_insert_of_what_is_there_changes_nothing():
    with unwatched("a test"):
        create()
    with act():
        create_quietly()
    assert AuditRecord.objects.count() == 0


def test_a_record_that_was_rolled_back_does_not_count():
    def changed():
        with act():
            create()
            with suppress(ZeroDivisionError), transaction.atomic():
                record(actor=SYSTEM, action="group.created")
                raise ZeroDivisionError

    with pytest.raises(UnrecordedActError):
        changed()
    assert not Group.objects.filter(name="new").exists()
    assert AuditRecord.objects.count() == 0


def test_a_change_that_was_rolled_back_needs_no_record():
    with act(), suppress(ZeroDivisionError), transaction.atomic():
        create()
        raise ZeroDivisionError
    assert not Group.objects.filter(name="new").exists()
    assert AuditRecord.objects.count() == 0


def test_what_a_savepoint_keeps_counts():
    with act():
        with transaction.atomic():
            create()
        with transaction.atomic(), transaction.atomic():
            record(actor=SYSTEM, action="group.created")
    assert Group.objects.filter(name="new").exists()
    assert count("group.created") == 1
    assert count("db.bypassed") == 0


def test_a_savepoint_that_ends_leaves_the_database_told():
    with act():
        with suppress(ZeroDivisionError), transaction.atomic():
            with transaction.atomic():
                create()
            raise ZeroDivisionError
        with transaction.atomic():
            create()
        Group.objects.filter(name="new").update(name="newer")
        record(actor=SYSTEM, action="group.created")
    assert Group.objects.filter(name="newer").exists()
    assert count("db.bypassed") == 0


def test_an_act_inside_set_up_does_not_end_it():
    with unwatched("a test"):
        with act():
            create()
            record(actor=SYSTEM, action="group.created")
        with suppress(ZeroDivisionError), act():
            raise ZeroDivisionError
        Group.objects.filter(name="new").update(name="newer")
    assert count("db.bypassed") == 0
    run("UPDATE auth_group SET name = 'newest' WHERE name = 'newer'")
    assert count("db.bypassed") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "\n  UPDATE auth_group SET name = 'newer' WHERE name = 'new'",
        "/* why */ UPDATE auth_group SET name = 'newer' WHERE name = 'new'",
        "-- why\nUPDATE auth_group SET name = 'newer' WHERE name = 'new'",
        "WITH one AS (SELECT 1) UPDATE \"auth_group\" SET name = 'newer' WHERE name = 'new'",
    ],
)
def test_an_act_is_known_however_its_statement_is_written(sql):
    with unwatched("a test"):
        create()
    with pytest.raises(UnrecordedActError, match="auth_group"), act():
        run(sql)
    with act():
        run(sql)
        record(actor=SYSTEM, action="group.updated")
    assert Group.objects.filter(name="newer").exists()
    assert count("db.bypassed") == 0


def refuse():
    record_refusal(actor=SYSTEM, action="thing.refused", reason="because")


def refuse_in_an_act():
    with act():
        refuse()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", [refuse, refuse_in_an_act])
def test_a_refusal_outlives_the_transaction_around_it(write):
    with suppress(ZeroDivisionError), transaction.atomic():
        with transaction.atomic():
            write()
        raise ZeroDivisionError
    assert count("thing.refused") == 1


@pytest.mark.django_db(transaction=True)
def test_a_refusal_outlives_the_savepoint_around_it():
    with transaction.atomic():
        with suppress(ZeroDivisionError), transaction.atomic():
            refuse()
            raise ZeroDivisionError
        with act():
            create()
            record(actor=SYSTEM, action="group.created")
    assert count("thing.refused") == count("group.created") == 1


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_written_once_where_its_transaction_stands():
    with transaction.atomic():
        refuse()
        assert count("thing.refused") == 1
        record_error(actor=SYSTEM, action="thing.failed", reason="because")
    assert count("thing.refused") == count("thing.failed") == 1
    with transaction.atomic():
        create()
    assert AuditRecord.objects.exclude(action="db.bypassed").count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_refusal_outlives_a_transaction_that_cannot_go_on():
    def broken():
        with transaction.atomic():
            with suppress(ZeroDivisionError), transaction.atomic(savepoint=False):
                raise ZeroDivisionError
            refuse()

    broken()
    from audit.services.records import replay_spilled

    replay_spilled()
    assert count("thing.refused") == 1
