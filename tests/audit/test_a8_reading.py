"""Records as people read them: names, times, what is new, and where each thing leads (A8)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import RolePolicy, UserSession
from audit.admin import shown
from audit.models import AuditRecord, AuditVerification
from audit.services.acts import act
from audit.services.records import record
from audit.services.seal import seal_all
from core import tracing
from core.actors import SYSTEM
from notifications.services import channels
from reliability.models import Service
from tests.audit import damage

pytestmark = pytest.mark.django_db

LIST = "/admin/audit/auditrecord/"


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer
    return answer.content.decode()


@pytest.fixture
def auditor(console, make_user):
    return console(make_user(role="auditor"))


def created(**after):
    user = {"username": "tea", "email": "", "roles": [], "is_staff": False, "networks": None}
    return record(actor=SYSTEM, action="user.created", before={}, after={**user, **after})


def test_what_is_new_shows_only_what_was_set(auditor):
    row = created(email="tea@example.com")
    for path in (f"{row.pk}/change/", "timeline/"):
        text = page(auditor, f"{LIST}{path}")
        assert "tea@example.com" in text
        assert "<ins>" not in text
        assert "Networks" not in text
        assert "nothing" not in text
        assert "values</summary>" not in text
    assert "What it is like" in page(auditor, f"{LIST}{row.pk}/change/")
    created(a=1, b=2, c=3)
    assert "<summary>5 values</summary>" in page(auditor, f"{LIST}timeline/")


def test_many_changes_are_folded_few_are_not(auditor):
    few = {"before": {"a": 1}, "after": {"a": 2}}
    names = "abcde"
    many = {"before": dict.fromkeys(names, 1), "after": dict.fromkeys(names, 2)}
    record(actor=SYSTEM, action="thing.updated", **few)
    assert "<summary>" not in page(auditor, f"{LIST}timeline/").partition("<main")[2]
    record(actor=SYSTEM, action="thing.updated", **many)
    assert "<summary>5 changes</summary>" in page(auditor, f"{LIST}timeline/")


def test_fields_have_the_names_that_forms_give_them(make_user):
    policy = RolePolicy(pk=1)
    row = AuditRecord(target_type=policy._meta.label, payload='{"after":{"mfa_required":true}}')
    [(name, *_)] = shown.difference(row)
    assert "MFA" in name or name == shown.capfirst(
        str(RolePolicy._meta.get_field("mfa_required").verbose_name)
    )
    unknown = AuditRecord(payload='{"after":{"api_url":"x"}}')
    assert shown.difference(unknown)[0][0] == "API URL"


def test_a_kind_is_not_said_twice():
    label = UserSession._meta.label
    row = AuditRecord(target_type=label, target_id="1", target_name="Browser session of admin")
    assert shown.target_name(row) == "Browser session of admin"
    other = AuditRecord(target_type="accounts.User", target_id="1", target_name="tea")
    assert shown.target_name(other) == "User tea"


def test_times_are_told_as_they_are_beside_the_relative_ones(auditor):
    row = created()
    told = f"{row.at.day} {row.at:%b %Y %H:%M:%S} UTC"
    for path in (f"{row.pk}/change/", "timeline/"):
        text = page(auditor, f"{LIST}{path}")
        assert f'<span class="quiet js-only">{told}</span>' in text


def test_the_list_marks_what_is_sealed_and_shows_where_from(auditor):
    with tracing.bind(address="192.0.2.7"), act():
        record(actor=SYSTEM, action="thing.done")
    assert "soon</td>" in page(auditor, f"{LIST}?q=thing.done")
    seal_all()
    text = page(auditor, f"{LIST}?q=thing.done")
    assert '<span class="quiet under">192.0.2.7</span>' in text
    assert 'class="seal-mark" title="Sealed, seq ' in text


def test_the_list_is_bounded_by_moments(auditor):
    row = created()
    hour = timedelta(hours=1)
    before, after = ((row.at + step).strftime("%Y-%m-%dT%H:%M:%S") for step in (-hour, hour))
    assert "user.created" in page(auditor, f"{LIST}?after={before}&before={after}")
    assert "user.created" not in page(auditor, f"{LIST}?after={after}")
    assert "user.created" not in page(auditor, f"{LIST}?before={before}")
    text = page(auditor, LIST)
    for name in ("After (UTC)", "Before (UTC)"):
        assert f"<summary>{name}</summary>" in text
    assert 'data-filter-title="date"' in text
    assert auditor.get(f"{LIST}?after=x").status_code == 302


def test_the_console_looks_for_words_in_the_last_month_unless_told_otherwise(auditor):
    with act():
        row = record(actor=SYSTEM, action="thing.old", reason="green")
    with damage.unguarded():
        AuditRecord.objects.filter(pk=row.pk).update(at=timezone.now() - timedelta(days=40))
    year = (timezone.now() - timedelta(days=300)).strftime("%Y-%m-%dT%H:%M:%S")
    month = (timezone.now() - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%S")
    assert "thing.old" not in page(auditor, f"{LIST}?q=green")
    assert "thing.old" in page(auditor, f"{LIST}?q=green&after={year}")
    assert "thing.old" in page(auditor, f"{LIST}?q=green&before={month}")
    assert "thing.old" in page(auditor, LIST)


def test_beginning_a_verification_says_nothing_beside_its_result(auditor):
    answer = auditor.post(f"{LIST}verify/", follow=True)
    assert AuditVerification.objects.count() == 1
    assert "The verification begins" not in answer.content.decode()


@pytest.mark.parametrize("kind", ["user", "service", "channel"])
def test_the_page_of_a_thing_leads_to_its_acts(console, make_user, kind):
    client = console(make_user(role="admin"))
    made = {
        "user": make_user,
        "service": lambda: Service.objects.create(name="Tea"),
        "channel": lambda: (
            channels.create(
                actor=SYSTEM, kind="email", name="Tea", config={"recipients": ("tea@example.com",)}
            ).channel
        ),
    }[kind]()
    label = made._meta
    url = f"/admin/{label.app_label}/{label.model_name}/{made.pk}/change/"
    text = page(client, url)
    assert (
        f"/admin/audit/auditrecord/timeline/?target_type={label.label}&amp;target={made.pk}" in text
    )
