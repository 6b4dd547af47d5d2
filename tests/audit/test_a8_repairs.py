"""What the platform puts right by itself is on the record (A8)."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.models import AccessChange, UserSession
from accounts.receivers import fill_roles
from accounts.services import revocation
from audit.engine.categories import category_of
from audit.models import AuditRecord, AuditRepeat, AuditSpilled
from audit.services import records
from audit.services.acts import unwatched
from audit.services.records import record_refusal
from core.actors import SYSTEM
from tests.audit.damage import run

pytestmark = pytest.mark.django_db


def told(action):
    found = AuditRecord.objects.filter(action=action)
    return [(row.target_name, json.loads(row.payload)) for row in found]


def bypassed():
    found = AuditRecord.objects.filter(action="db.bypassed")
    return [json.loads(row.payload) for row in found.order_by("id")]


def test_a_role_that_somebody_widened_is_repaired_with_a_record():
    group = Group.objects.get(name="operator")
    right = Permission.objects.get(codename="add_user")
    lost = group.permissions.first()
    with unwatched("a test"):
        group.permissions.add(right)
        group.permissions.remove(lost)
    fill_roles()
    assert told("role.repaired") == [
        (
            "operator",
            {
                "after": {"added": [f"{lost.content_type.app_label}.{lost.codename}"]},
                "before": {"removed": ["accounts.add_user"]},
            },
        )
    ]
    assert right not in group.permissions.all()
    fill_roles()
    assert len(told("role.repaired")) == 1


def test_a_role_that_is_new_needs_no_record():
    with unwatched("a test"):
        Group.objects.get(name="operator").delete()
    fill_roles()
    assert Group.objects.get(name="operator").permissions.exists()
    assert told("role.repaired") == []


def test_a_job_that_somebody_changed_is_repaired_with_a_record():
    call_command("sync_periodic_jobs")
    with unwatched("a test"):
        PeriodicTask.objects.filter(name="Audit: verify").update(task="nothing.at_all")
    call_command("sync_periodic_jobs")
    call_command("sync_periodic_jobs")
    assert told("schedule.refreshed") == [("", {"jobs": "Audit: verify"})]
    assert PeriodicTask.objects.get(name="Audit: verify").task == "audit.verify_daily"


@pytest.mark.parametrize(
    ("action", "category"),
    [
        ("second_factor.removed", "auth"),
        ("sessions.ended", "auth"),
        ("passkey.added", "auth"),
        ("address.refused", "authz"),
        ("console_networks.updated", "authz"),
        ("first_admin.waived", "authz"),
        ("access_review.opened", "authz"),
        ("log_segments.removed", "data"),
        ("schedule.refreshed", "system"),
        ("service.updated", "admin"),
        ("channel.updated", "admin"),
    ],
)
def test_an_action_has_its_category(action, category):
    assert category_of(action) == category


def test_counts_of_denials_cannot_be_changed_unnoticed():
    for _ in range(3):
        record_refusal(actor=SYSTEM, action="thing.refused", reason="because")
    assert AuditRepeat.objects.get().count == 2
    assert bypassed() == []
    run("UPDATE audit_auditrepeat SET count = 0")
    run("DELETE FROM audit_auditrepeat")
    told = [{"operation": name, "table": "audit_auditrepeat"} for name in ("update", "delete")]
    assert bypassed() == told


def test_summaries_of_denials_are_no_bypass():
    for _ in range(2):
        record_refusal(actor=SYSTEM, action="thing.refused", reason="because")
    with unwatched("a test"):
        AuditRepeat.objects.update(since=timezone.now() - records.repeats.WINDOW * 2)
    assert records.tell_repeats() == 1
    assert not AuditRepeat.objects.exists()
    assert bypassed() == []


def test_a_mark_that_hides_a_waiting_record_is_noticed():
    AuditSpilled.objects.create(pk="00000000-0000-0000-0000-000000000001")
    assert bypassed() == [{"operation": "insert", "table": "audit_auditspilled"}]


@pytest.fixture
def session(make_user, console):
    console(make_user())
    return UserSession.objects.get()


@pytest.mark.parametrize(
    "change",
    [
        "session_key = 'x'",
        "methods = 'pwd,otp,mfa'",
        "refresh_digest = 'x'",
        "refresh_generation = 7",
        "refresh_previous_digest = 'x'",
        "refresh_pepper_id = 'x'",
        "rotated_at = CURRENT_TIMESTAMP",
    ],
)
def test_a_sign_in_cannot_be_taken_over_unnoticed(session, change):
    before = len(bypassed())
    run(f"UPDATE accounts_usersession SET {change}")  # noqa: S608  # a constant of the test
    assert bypassed()[before:] == [{"operation": "update", "table": "accounts_usersession"}]


@pytest.mark.parametrize(
    "sql", ["DELETE FROM accounts_accesschange", "UPDATE accounts_accesschange SET value = 'x'"]
)
def test_what_was_ended_cannot_be_revived_unnoticed(session, sql):
    revocation.end_session(actor=SYSTEM, session=session, reason="a test")
    assert AccessChange.objects.exists()
    before = len(bypassed())
    run(sql)
    assert {row["table"] for row in bypassed()[before:]} == {"accounts_accesschange"}


@pytest.mark.parametrize("column", ["password_expires_at = CURRENT_TIMESTAMP", "password = 'x'"])
def test_a_password_cannot_be_changed_unnoticed(make_user, column):
    make_user()
    run(f"UPDATE accounts_user SET {column}")  # noqa: S608  # a constant of the test
    assert bypassed() == [{"operation": "update", "table": "accounts_user"}]


def test_the_platform_clears_old_changes_without_a_word(session):
    revocation.end_session(actor=SYSTEM, session=session, reason="a test")
    with unwatched("a test"):
        AccessChange.objects.update(not_after=timezone.now() - timedelta(days=60))
    revocation.clear_old()
    assert not AccessChange.objects.exists()
    assert bypassed() == []
