"""Each quarter somebody confirms or revokes who may do what (SPEC R12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import signals
from accounts.models import AccessReview, AccessReviewItem, APIKey, User
from accounts.roles import PURPOSE
from accounts.selectors import dashboard_keys as known_keys
from accounts.selectors import people
from accounts.services import api_keys, dashboard_keys, users
from audit.services.acts import audited
from audit.services.records import record, record_refusal
from core.errors import ForbiddenError, InvalidTransitionError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.actors import Actor

DAYS: Final = 30
"""How long a review may take."""
_REMIND_DAYS: Final = frozenset({14, 7, 3, 1, 0})
_OVERDUE_EVERY: Final = 7
Kind = AccessReviewItem.Kind
Decision = AccessReviewItem.Decision


def quarter_of(moment: datetime) -> str:
    """Return the quarter of a moment, such as 2026-Q4."""
    utc = moment.astimezone(UTC)
    return f"{utc.year}-Q{(utc.month - 1) // 3 + 1}"


def is_opened() -> bool:
    """Tell whether the review of this quarter was opened."""
    return AccessReview.objects.filter(quarter=quarter_of(timezone.now())).exists()


def open_for_now(*, actor: Actor) -> AccessReview | None:
    """Open the review of this quarter; return None if it was opened before."""
    if is_opened():
        return None
    quarter = quarter_of(timezone.now())
    try:
        with transaction.atomic():
            return _open(actor=actor, quarter=quarter)
    except IntegrityError:
        return None  # another process opened it


@audited
def _open(*, actor: Actor, quarter: str) -> AccessReview:
    now = timezone.now()
    review = AccessReview.objects.create(
        quarter=quarter, opened_at=now, due_at=now + timedelta(days=DAYS)
    )
    items = AccessReviewItem.objects.bulk_create(
        [
            AccessReviewItem(
                review=review, kind=kind, subject=subject, name=name[:200], facts=facts
            )
            for kind, subject, name, facts in _found()
        ]
    )
    record(actor=actor, action="access_review.opened", target=review, items=len(items))
    _remind(review, DAYS, len(items))
    return review


@audited
def decide(
    *, actor: Actor, item_id: int, decision: AccessReviewItem.Decision, reason: str = ""
) -> AccessReviewItem:
    """Confirm what an item lists, or take it away for real; the last decision closes the review.

    What was disabled or revoked since the review was opened counts as revoked. Nobody decides about
    themselves while another admin can: raises ForbiddenError.
    """
    item = AccessReviewItem.objects.select_related("review").filter(pk=item_id).first()
    if item is None:
        message = "There is no such line in a review."
        raise NotFoundError(message)
    if decision == Decision.OPEN:
        message = "Decide to confirm or to revoke."
        raise InvalidTransitionError(message)
    if is_own(item, actor):
        record_refusal(
            actor=actor,
            action="access_review_item.decided",
            reason="Nobody decides about themselves.",
            target=item.review,
        )
        message = "Another admin decides about you, your roles and your keys."
        raise ForbiddenError(message)
    taken = AccessReviewItem.objects.filter(pk=item.pk, decision=Decision.OPEN).update(
        decision=decision, decided_by=actor.name[:200], decided_at=timezone.now()
    )
    if not taken:
        message = "Somebody has decided this already."
        raise InvalidTransitionError(message)
    if decision == Decision.REVOKED:
        _take_away(actor, item)
    record(
        actor=actor,
        action=f"access_review_item.{decision}",
        target=item,
        reason=reason,
        review=item.review.quarter,
        kind=item.kind,
        subject=item.subject,
    )
    _close_if_done(actor, item.review)
    item.refresh_from_db()
    return item


def is_own(item: AccessReviewItem, actor: Actor) -> bool:
    """Tell whether the line is about the actor, and somebody else is there to decide it."""
    if actor.user_id is None or item.person != actor.name:
        return False
    return people.active_admins().exclude(pk=actor.user_id).exists()


def remind() -> int:
    """Send reminders of reviews that are open and due soon or overdue; return how many."""
    sent = 0
    for review in AccessReview.objects.filter(closed_at=None):
        left = (review.due_at.date() - timezone.now().date()).days
        open_items = review.items.filter(decision=Decision.OPEN).count()
        if left in _REMIND_DAYS or (left < 0 and left % _OVERDUE_EVERY == 0):
            _remind(review, left, open_items)
            sent += 1
    return sent


def _remind(review: AccessReview, days_left: int, open_items: int) -> None:
    signals.tell(
        signals.access_review_due,
        review_id=review.pk,
        quarter=review.quarter,
        days_left=days_left,
        due_at=review.due_at,
        open_items=open_items,
    )


def _found() -> Iterator[tuple[AccessReviewItem.Kind, str, str, dict[str, object]]]:
    """List who and what may act now, with the facts that help to judge."""
    for user in User.objects.filter(is_active=True).order_by("username"):
        standing = people.standing_of(user)
        roles = people.roles_of(user) + (["superuser"] if user.is_superuser else [])
        yield (
            Kind.PERSON,
            str(user.pk),
            user.username,
            {
                "roles": roles,
                "last_sign_in": _date(user.last_login),
                "second_factor": standing.has_factor,
                "since": _date(user.created_at),
            },
        )
        for group in user.groups.order_by("name"):
            yield (
                Kind.ROLE,
                f"{user.pk}/{group.pk}",
                f"{user.username}: {group.name}",
                {
                    "owner": user.username,
                    "role": group.name,
                    "allows": PURPOSE.get(group.name, "a role of your own"),
                },
            )
    for key in APIKey.objects.valid().select_related("owner"):
        yield (
            Kind.API_KEY,
            str(key.pk),
            f"{key.label} ({key.owner.username})",
            {
                "owner": key.owner.username,
                "scopes": key.scopes,
                "networks": key.networks,
                "last_used": _date(key.last_used_at),
                "expires": _date(key.expires_at),
            },
        )
    for digest in {key.digest: key for key in known_keys.known()}.values():
        if not known_keys.is_denied(digest.fingerprint):
            yield (
                Kind.DASHBOARD_KEY,
                digest.fingerprint,
                f"Dashboard key {digest.fingerprint[: known_keys.SHOWN]}",
                {"role": digest.role, "source": digest.source},
            )


def _date(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).date().isoformat() if moment is not None else None


def _take_away(actor: Actor, item: AccessReviewItem) -> None:
    reason = f"Access review {item.review.quarter}."
    try:
        if item.kind == Kind.PERSON:
            users.disable_user(actor=actor, user_id=UUID(item.subject), reason=reason)
        elif item.kind == Kind.ROLE:
            user_id, _ = _role_of(item)
            users.remove_role(actor=actor, user_id=user_id, role=item.facts["role"], reason=reason)
        elif item.kind == Kind.API_KEY:
            api_keys.revoke(actor=actor, key_id=UUID(item.subject), reason=reason)
        else:
            dashboard_keys.deny(actor=actor, fingerprint=item.subject, reason=reason)
    except (InvalidTransitionError, NotFoundError):
        if not _is_gone(item):
            raise


def _is_gone(item: AccessReviewItem) -> bool:
    """Tell whether the item lost its access by another way in the meantime."""
    if item.kind == Kind.PERSON:
        return not User.objects.filter(pk=item.subject, is_active=True).exists()
    if item.kind == Kind.ROLE:
        user_id, group_id = _role_of(item)
        return not User.objects.filter(pk=user_id, groups=group_id).exists()
    if item.kind == Kind.API_KEY:
        return not APIKey.objects.valid().filter(pk=item.subject).exists()
    return known_keys.is_denied(item.subject)


def _role_of(item: AccessReviewItem) -> tuple[UUID, int]:
    user_id, _, group_id = item.subject.partition("/")
    return UUID(user_id), int(group_id)


def _close_if_done(actor: Actor, review: AccessReview) -> None:
    if review.items.filter(decision=Decision.OPEN).exists():
        return
    closed = AccessReview.objects.filter(pk=review.pk, closed_at=None).update(
        closed_at=timezone.now(), closed_by=actor.name[:200]
    )
    if closed:
        revoked = review.items.filter(decision=Decision.REVOKED).count()
        record(actor=actor, action="access_review.closed", target=review, revoked=revoked)
