"""Writes past the application leave a record, and the log itself only grows (A8)."""

import json
from contextlib import suppress

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from audit.engine.watched import WATCHED
from audit.models import AuditRecord
from audit.selectors.guards import existing, expected, missing
from audit.services import guards
from audit.services.acts import UnrecordedActError, act, audited, unwatched
from audit.services.records import record, record_refusal
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db


def bypasses():
    return list(
        AuditRecord.objects.filter(action="db.bypassed")
        .order_by("id")
        .values_list("target_type", "target_id", "payload")
    )


def run(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


def test_all_triggers_are_there():
    assert missing() == []
    assert {table for table, _ in expected().values()} >= set(WATCHED)


def test_a_raw_update_leaves_its_record(make_user):
    user = make_user()
    run("UPDATE accounts_user SET is_superuser = %s WHERE username = %s", True, user.username)
    [(target, key, payload)] = bypasses()
    assert target == "accounts.User"
    assert key.replace("-", "") == user.pk.hex
    assert json.loads(payload) == {"operation": "update", "table": "accounts_user"}


def test_columns_that_do_not_matter_leave_none(make_user):
    user = make_user()
    run("UPDATE accounts_user SET last_login = created_at")
    run("UPDATE accounts_user SET is_staff = is_staff")
    user.save()
    assert bypasses() == []


def test_an_insert_and_a_delete_leave_records():
    run("INSERT INTO auth_group (name) VALUES (%s)", "backdoor")
    run("DELETE FROM auth_group WHERE name = %s", "backdoor")
    assert [json.loads(payload)["operation"] for _, _, payload in bypasses()] == [
        "insert",
        "delete",
    ]


def test_an_act_with_a_record_is_no_bypass(make_user):
    user = make_user()

    @audited
    def promote():
        user.is_staff = True
        user.save()
        record(actor=SYSTEM, action="user.promoted", target=user)

    promote()
    run("UPDATE accounts_user SET email = 'x@example.com'")
    assert [key.replace("-", "") for _, key, _ in bypasses()] == [user.pk.hex]


def test_an_act_without_a_record_is_undone(make_user):
    user = make_user()

    @audited
    def promote():
        user.is_superuser = True
        user.save()

    with pytest.raises(UnrecordedActError, match="accounts_user"):
        promote()
    user.refresh_from_db()
    assert not user.is_superuser
    assert AuditRecord.objects.count() == 0


def test_an_act_that_changes_nothing_needs_no_record(make_user):
    user = make_user()
    with act():
        type(user).objects.filter(username="nobody of this name").update(is_staff=True)
        type(user).objects.filter(pk=user.pk).update(last_login=None)
    assert AuditRecord.objects.count() == 0


def test_a_savepoint_that_rolls_back_takes_nothing_along(make_user):
    user = make_user()
    with act():
        with suppress(ZeroDivisionError), transaction.atomic():
            type(user).objects.filter(pk=user.pk).update(is_staff=True)
            raise ZeroDivisionError
        type(user).objects.filter(pk=user.pk).update(is_superuser=True)
        record(actor=SYSTEM, action="user.promoted", target=user)
    assert bypasses() == []


def test_nested_acts_share_the_outermost(make_user):
    user = make_user()

    @audited
    def inner():
        type(user).objects.filter(pk=user.pk).update(is_staff=True)

    @audited
    def outer():
        inner()
        record(actor=SYSTEM, action="user.promoted", target=user)

    outer()
    with pytest.raises(UnrecordedActError):
        inner()
    assert bypasses() == []


def test_unwatched_says_why_and_ends(make_user):
    user = make_user()
    with unwatched("a test"):
        type(user).objects.filter(pk=user.pk).update(is_staff=True)
    assert bypasses() == []
    type(user).objects.filter(pk=user.pk).update(is_staff=False)
    assert len(bypasses()) == 1


def test_a_refusal_inside_an_act_outlives_it():
    def refused():
        with act():
            record_refusal(actor=SYSTEM, action="thing.refused", reason="because")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        refused()
    assert AuditRecord.objects.get().outcome == "denied"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_auditrecord SET action = 'nothing.happened'",
        "DELETE FROM audit_auditrecord",
        "UPDATE audit_auditlink SET seq = 7",
        "DELETE FROM audit_auditcheckpoint",
        "DELETE FROM audit_auditarchive",
        "INSERT OR REPLACE INTO audit_auditrecord SELECT * FROM audit_auditrecord",
        "TRUNCATE audit_auditrecord",
    ],
)
def test_the_log_only_grows(sql):
    from audit.services.seal import seal_all

    if ("REPLACE" in sql) != (connection.vendor == "sqlite") and "REPLACE" in sql:
        pytest.skip("PostgreSQL knows no REPLACE.")
    if "TRUNCATE" in sql and connection.vendor == "sqlite":
        pytest.skip("SQLite knows no TRUNCATE.")
    if "archive" in sql and connection.vendor == "sqlite":
        pytest.skip("SQLite's triggers fire per row, and there is none.")
    record(actor=SYSTEM, action="thing.done")
    seal_all()
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        run(sql)
    assert AuditRecord.objects.get().action == "thing.done"


@pytest.mark.django_db(transaction=True)
def test_a_flush_and_a_migration_put_the_triggers_back():
    guards.remove()
    assert existing() == {}
    assert len(missing()) >= len(expected())
    call_command("migrate", verbosity=0)
    assert missing() == []
    call_command("flush", interactive=False, verbosity=0)
    assert missing() == []


@pytest.mark.django_db(transaction=True)
def test_a_rebuilt_table_gets_its_triggers_back():
    from notifications.models import Channel

    field = Channel._meta.get_field("disabled_reason")
    guards.remove()
    wider = type(field)(max_length=500, blank=True)
    wider.set_attributes_from_name("disabled_reason")
    wider.model = Channel
    for old, new in ((field, wider), (wider, field)):
        with connection.schema_editor() as editor:
            editor.alter_field(Channel, old, new)
    assert "audit_watch_notifications_channel_insert" in missing()
    guards.install()
    assert missing() == []


def test_a_changed_trigger_is_noticed():
    if connection.vendor == "postgresql":
        run("ALTER TABLE accounts_user DISABLE TRIGGER audit_watch_accounts_user_update")
        run(
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RETURN NULL; END'"
        )
        assert missing() == ["audit_refuse", "audit_watch_accounts_user_update"]
    else:
        run("DROP TRIGGER audit_watch_accounts_user_update")
        run(
            "CREATE TRIGGER audit_watch_accounts_user_update AFTER UPDATE ON accounts_user "
            "WHEN 0 BEGIN SELECT 1; END"
        )
        assert missing() == ["audit_watch_accounts_user_update"]
    guards.install()
    assert missing() == []
