"""In a review roles are taken one by one, and nobody decides about themselves (R12)."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.actors import actor_for
from accounts.models import AccessReview, AccessReviewItem, APIKey, User, UserSession
from accounts.services import access_reviews, api_keys
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.actors import SYSTEM
from core.errors import ForbiddenError, InvalidTransitionError

pytestmark = pytest.mark.django_db
Decision = AccessReviewItem.Decision
LIST = "/admin/accounts/accessreview/"


@pytest.fixture
def root(make_user):
    return make_user(role="admin", username="root")


@pytest.fixture
def ada(make_user):
    person = make_user(role="engineer", username="ada")
    with unwatched("set-up of a test"):
        person.groups.add(Group.objects.get(name="operator"))
    return person


def opened():
    return access_reviews.open_for_now(actor=SYSTEM)


def decide(line, decision, actor=SYSTEM):
    return access_reviews.decide(actor=actor, item_id=line.pk, decision=decision)


def roles(person):
    return sorted(person.groups.values_list("name", flat=True))


def test_each_role_of_a_person_is_a_line_of_its_own(root, ada):
    lines = opened().items.filter(kind="role").values_list("name", "decision")
    assert sorted(lines) == [
        ("ada: engineer", "open"),
        ("ada: operator", "open"),
        ("root: admin", "open"),
    ]


def test_revoking_a_role_takes_that_role_and_nothing_else(root, ada, client):
    client.force_login(ada)
    review = opened()
    decide(review.items.get(name="ada: operator"), Decision.REVOKED, actor_for(root))
    ada.refresh_from_db()
    assert (ada.is_active, roles(ada)) == (True, ["engineer"])
    row = AuditRecord.objects.get(action="user.updated")
    assert row.reason == f"Access review {review.quarter}."
    assert not UserSession.objects.filter(user=ada, revoked_at=None).exists()
    assert review.items.get(name="ada: engineer").decision == Decision.OPEN


def test_the_last_admins_role_is_not_taken_and_the_line_stays_open(root):
    line = opened().items.get(name="root: admin")
    with pytest.raises(InvalidTransitionError):
        decide(line, Decision.REVOKED)
    line.refresh_from_db()
    assert line.decision == Decision.OPEN
    assert roles(root) == ["admin"]


def test_a_role_that_was_taken_meanwhile_counts_as_revoked(root, ada):
    line = opened().items.get(name="ada: operator")
    with unwatched("set-up of a test"):
        ada.groups.remove(Group.objects.get(name="operator"))
    assert decide(line, Decision.REVOKED).decision == Decision.REVOKED
    assert roles(ada) == ["engineer"]


def test_a_role_of_somebody_disabled_meanwhile_is_taken_all_the_same(root, ada):
    review = opened()
    decide(review.items.get(kind="person", name="ada"), Decision.REVOKED)
    decide(review.items.get(name="ada: operator"), Decision.REVOKED)
    ada.refresh_from_db()
    assert (ada.is_active, roles(ada)) == (False, ["engineer"])


@pytest.mark.parametrize("decision", [Decision.CONFIRMED, Decision.REVOKED])
def test_nobody_decides_about_themselves_while_another_admin_can(root, make_user, decision):
    make_user(role="admin", username="second")
    api_keys.create(actor=SYSTEM, owner_id=root.pk, label="CI", scopes=["reliability:read"])
    review = opened()
    own = ["root", "root: admin", "CI (root)"]
    for name in own:
        with pytest.raises(ForbiddenError, match="Another admin"):
            decide(review.items.get(name=name), decision, actor_for(root))
    assert not review.items.exclude(decision=Decision.OPEN).exists()
    assert APIKey.objects.valid().count() == 1
    denied = AuditRecord.objects.filter(outcome="denied", action="access_review_item.decided")
    assert denied.count() == 1  # alike within a minute
    decide(review.items.get(name="second"), Decision.CONFIRMED, actor_for(root))
    assert review.items.get(name="second").decision == Decision.CONFIRMED


def test_the_only_admin_decides_about_themselves(root, make_user):
    make_user(role="admin", username="idle", must_change_password=True)
    make_user(role="admin", username="gone", is_active=False)
    line = opened().items.get(name="root")
    assert decide(line, Decision.CONFIRMED, actor_for(root)).decided_by == "root"


def test_the_page_says_who_else_decides_and_what_is_taken(root, ada, make_user, client):
    make_user(role="admin", username="second")
    review = opened()
    client.force_login(root)
    page = client.get(f"{LIST}{review.pk}/change/").content.decode()
    act = f"{LIST}items/{{}}/revoked/"
    assert act.format(review.items.get(name="root").pk) not in page
    assert act.format(review.items.get(name="second").pk) in page
    assert page.count("Another admin decides about you") == 2  # the person, and the role
    asked = client.get(act.format(review.items.get(name="ada: operator").pk)).content.decode()
    assert "Take the role operator from ada?" in asked
    assert "What it allows ends at once, and their sessions end." in asked
    client.post(act.format(review.items.get(name="ada: operator").pk))
    assert roles(ada) == ["engineer"]


def test_a_person_opens_the_review_of_the_quarter_once(root, ada, client):
    client.force_login(root)
    assert f"{LIST}open/" in client.get(LIST).content.decode()
    assert "everybody and every key" in client.get(f"{LIST}open/").content.decode()
    assert AccessReview.objects.count() == 0
    client.post(f"{LIST}open/")
    review = AccessReview.objects.get()
    row = AuditRecord.objects.get(action="access_review.opened")
    assert (row.actor_name, review.items.count()) == ("root", 5)
    assert f"{LIST}open/" not in client.get(LIST).content.decode()
    assert "was opened already" in client.post(f"{LIST}open/", follow=True).content.decode()
    assert AccessReview.objects.count() == 1


def test_opening_needs_the_right_to_decide_and_a_fresh_proof(root, make_user, client):
    client.force_login(make_user(role="auditor"))
    assert f"{LIST}open/" not in client.get(LIST).content.decode()
    assert client.post(f"{LIST}open/").status_code == 403
    client.force_login(root)
    with unwatched("set-up of a test"):
        UserSession.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    assert client.post(f"{LIST}open/").status_code == 302
    assert AccessReview.objects.count() == 0
    assert User.objects.filter(is_active=True).count() == 2
