"""Each quarter somebody confirms or revokes who may do what (R12)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from accounts import signals, tasks
from accounts.models import AccessReview, AccessReviewItem, APIKey, DeniedDashKey, User
from accounts.services import access_reviews, api_keys
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.actors import SYSTEM
from core.crypto import keyed_digest
from core.errors import InvalidTransitionError

pytestmark = pytest.mark.django_db
Decision = AccessReviewItem.Decision
KEY = "a-dashboard-key-of-forty-characters-long"


@pytest.fixture
def review(make_user, settings):
    digest = keyed_digest(django_settings.DASHBOARD_PEPPER, KEY)
    settings.DASHBOARD_KEYS = ((digest, "auditor"),)
    make_user(role="admin", username="root")
    owner = make_user(role="engineer", username="ada")
    make_user(role="user", username="gone", is_active=False)
    api_keys.create(actor=SYSTEM, owner_id=owner.pk, label="CI", scopes=["reliability:read"])
    return access_reviews.open_for_now(actor=SYSTEM)


def item(review, name):
    return review.items.exclude(kind="role").get(name__startswith=name)


@pytest.mark.parametrize(
    ("moment", "quarter"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-Q1"),
        (datetime(2026, 3, 31, 23, 59, tzinfo=UTC), "2026-Q1"),
        (datetime(2026, 12, 31, tzinfo=UTC), "2026-Q4"),
    ],
)
def test_a_quarter_has_a_name(moment, quarter):
    assert access_reviews.quarter_of(moment) == quarter


def test_it_lists_people_keys_and_dashboard_keys_as_they_are(review):
    assert list(review.items.values_list("kind", "name")) == [
        ("api_key", "CI (ada)"),
        (
            "dashboard_key",
            f"Dashboard key {keyed_digest(django_settings.DASHBOARD_PEPPER, KEY).hex()[:8]}",
        ),
        ("person", "ada"),
        ("person", "root"),
        ("role", "ada: engineer"),
        ("role", "root: admin"),
    ]
    assert item(review, "ada").facts["roles"] == ["engineer"]
    assert item(review, "ada").facts["second_factor"] is False
    assert item(review, "CI").facts["scopes"] == ["reliability:read"]
    assert review.due_at - review.opened_at == timedelta(days=30)


def test_there_is_one_a_quarter(review):
    assert access_reviews.open_for_now(actor=SYSTEM) is None
    assert AccessReview.objects.count() == 1


def test_confirming_changes_nothing_and_the_last_decision_closes(review):
    for line in review.items.all():
        review.refresh_from_db()
        assert review.closed_at is None
        access_reviews.decide(actor=SYSTEM, item_id=line.pk, decision=Decision.CONFIRMED)
    review.refresh_from_db()
    assert review.closed_at is not None
    assert review.closed_by == SYSTEM.name
    assert User.objects.filter(is_active=True).count() == 2
    assert APIKey.objects.valid().count() == 1
    assert AuditRecord.objects.filter(action="access_review.closed").count() == 1


def test_revoking_really_takes_access_away(review):
    for name in ("ada", "CI", "Dashboard"):
        access_reviews.decide(
            actor=SYSTEM, item_id=item(review, name).pk, decision=Decision.REVOKED
        )
    assert not User.objects.get(username="ada").is_active
    assert APIKey.objects.valid().count() == 0
    assert DeniedDashKey.objects.get().reason == f"Access review {review.quarter}."
    actions = set(AuditRecord.objects.values_list("action", flat=True))
    assert {"user.disabled", "api_key.revoked", "dashboard_key.denied"} <= actions
    assert AuditRecord.objects.filter(action="access_review_item.revoked").count() == 3


def test_the_last_admin_is_not_revoked_and_the_line_stays_open(review):
    line = item(review, "root")
    with pytest.raises(InvalidTransitionError):
        access_reviews.decide(actor=SYSTEM, item_id=line.pk, decision=Decision.REVOKED)
    line.refresh_from_db()
    assert line.decision == Decision.OPEN
    assert User.objects.get(username="root").is_active


def test_what_ended_meanwhile_counts_as_revoked(review):
    api_keys.revoke(actor=SYSTEM, key_id=APIKey.objects.get().pk)
    line = item(review, "CI")
    access_reviews.decide(actor=SYSTEM, item_id=line.pk, decision=Decision.REVOKED)
    line.refresh_from_db()
    assert line.decision == Decision.REVOKED


def test_a_line_is_decided_once(review):
    line = item(review, "ada")
    access_reviews.decide(actor=SYSTEM, item_id=line.pk, decision=Decision.CONFIRMED)
    with pytest.raises(InvalidTransitionError):
        access_reviews.decide(actor=SYSTEM, item_id=line.pk, decision=Decision.REVOKED)
    assert User.objects.get(username="ada").is_active


def test_the_job_opens_and_reminds_when_due_and_overdue(
    make_user, django_capture_on_commit_callbacks
):
    make_user(role="admin")
    told = []

    def listen(**facts):
        told.append(facts["days_left"])

    signals.access_review_due.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            tasks.tend_access_reviews()
        for left in (20, 7, 0, -1, -7):
            with unwatched("set-up of a test"):
                AccessReview.objects.update(due_at=timezone.now() + timedelta(days=left))
            with django_capture_on_commit_callbacks(execute=True):
                tasks.tend_access_reviews()
    finally:
        signals.access_review_due.disconnect(listen)
    assert told == [30, 7, 0, -7]
    assert AccessReview.objects.count() == 1


def test_the_pages_confirm_and_ask_before_they_revoke(review, client):
    client.force_login(User.objects.get(username="root"))
    page = f"/admin/accounts/accessreview/{review.pk}/change/"
    shown = client.get(page).content.decode()
    assert "No second factor" in shown
    assert "Roles: engineer" in shown
    act = f"/admin/accounts/accessreview/items/{item(review, 'ada').pk}"
    assert "can no longer sign in" in client.get(f"{act}/revoked/").content.decode()
    assert User.objects.get(username="ada").is_active
    answer = client.post(f"{act}/revoked/", {"reason": "left"})
    assert answer.headers["Location"] == page
    assert not User.objects.get(username="ada").is_active
    client.post(f"/admin/accounts/accessreview/items/{item(review, 'CI').pk}/confirmed/")
    assert item(review, "CI").decision == Decision.CONFIRMED
    assert "2 of 6" in client.get("/admin/accounts/accessreview/").content.decode()


def test_auditors_read_pages_and_api_and_decide_nothing(review, client, make_user):
    client.force_login(make_user(role="auditor"))
    page = client.get(f"/admin/accounts/accessreview/{review.pk}/change/").content.decode()
    assert "/revoked/" not in page
    act = f"/admin/accounts/accessreview/items/{item(review, 'ada').pk}/revoked/"
    assert client.post(act).status_code == 403
    listed = client.get("/api/auth/reviews").json()["results"]
    assert [(one["quarter"], one["items_total"], one["items_open"]) for one in listed] == [
        (review.quarter, 6, 6)
    ]
    whole = client.get(f"/api/auth/reviews/{review.quarter}").json()
    assert [line["decision"] for line in whole["items"]] == ["open"] * 6
    assert client.get("/api/auth/reviews/1999-Q1").status_code == 404
    assert review.items.filter(decision=Decision.OPEN).count() == 6
