"""What happens to accounts becomes an alert."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from accounts import signals
from core import volatile
from core.actors import SYSTEM
from notifications.models import Event
from notifications.services.emit import emit

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

_HOUR: Final = 3600


@receiver(signals.account_locked)
def tell_locked(name: str, address: str, place: str, minutes: int, **_: Any) -> None:  # noqa: ANN401  # the signal's own arguments
    """Alert that an account must wait; names that nobody has are told once an hour together.

    The same is written for both: how long an answer takes must not tell strangers which names
    exist.
    """
    is_news = volatile.once(key=f"alert:locked:{name or 'unknown'}", seconds=_HOUR)
    _raise(
        "access.account_locked",
        key=name or "unknown",
        title=f"{name} is locked out for {minutes} minutes"
        if name
        else f"An unknown name is locked out for {minutes} minutes",
        body=f"Five wrong attempts ({place}), the last one from {address or 'nowhere known'}. "
        "It unlocks by itself; an admin can unlock it on the page of the person.",
        labels={"address": address, "place": place},
        suppressed_by="" if name or is_news else "Names that nobody has are told once an hour.",
    )


@receiver(signals.many_failures)
def tell_many(failures: int, minutes: int, **_: Any) -> None:  # noqa: ANN401  # the same
    """Alert that somebody tries passwords at large."""
    _raise(
        "access.many_failures",
        key="all",
        severity=Event.Severity.CRITICAL,
        title=f"{failures:,} failed sign-ins within {minutes} minutes",
        body="Over all accounts together: somebody tries passwords. The audit log names the "
        "addresses (action session.refused).",
    )


@receiver(signals.superuser_signed_in)
def tell_superuser(name: str, address: str, **_: Any) -> None:  # noqa: ANN401  # the same
    """Alert each use of an account past all rules."""
    _raise(
        "access.superuser_signed_in",
        key=name,
        title=f"The superuser {name} has signed in",
        body=f"From {address or 'nowhere known'}. Superusers are for emergencies: make sure that "
        "this was one.",
        labels={"address": address},
    )


@receiver(signals.passkey_cloned)
def tell_copy(name: str, label: str, **_: Any) -> None:  # noqa: ANN401  # the same
    """Alert that a passkey may have been copied."""
    _raise(
        "access.passkey_cloned",
        key=f"{name}/{label}",
        severity=Event.Severity.CRITICAL,
        title=f"The passkey {label} of {name} may have been copied",
        body="Its counter fell, so the sign-in was refused. Remove the passkey and ask the person.",
    )


@receiver(signals.refresh_reused)
def tell_reuse(name: str, address: str, session: str, **_: Any) -> None:  # noqa: ANN401  # the same
    """Alert that a refresh token came back after it had been exchanged."""
    _raise(
        "access.refresh_reused",
        key=session,
        severity=Event.Severity.CRITICAL,
        title=f"A refresh token of {name} was used twice",
        body=f"The second use came from {address or 'nowhere known'}. The session was ended: the "
        "token, or what came after it, was stolen.",
        labels={"address": address},
    )


@receiver(signals.api_key_expiring)
def tell_expiring(
    key_id: str,
    label: str,
    owner: str,
    days: int,
    expires_at: datetime,
    **_: Any,  # noqa: ANN401  # the same
) -> None:
    """Alert that an API key is about to end."""
    when = "within a day" if days <= 1 else f"in {days} days"
    _raise(
        "access.api_key_expiring",
        key=key_id,
        seq=int(expires_at.timestamp()) * 100 + days,
        title=f"The API key {label} of {owner} ends {when}",
        body=f"It ends on {expires_at:%d %b %Y %H:%M} UTC. Rotate it: the old one then works for "
        "another day.",
    )


@receiver(signals.access_review_due)
def tell_review(
    review_id: int,
    quarter: str,
    days_left: int,
    due_at: datetime,
    open_items: int,
    **_: Any,  # noqa: ANN401  # the same
) -> None:
    """Alert that somebody has to confirm who may do what."""
    if days_left < 0:
        when = f"is {-days_left} days overdue"
    else:
        when = "is due today" if days_left == 0 else f"is due in {days_left} days"
    _raise(
        "access.review_due",
        key=str(review_id),
        seq=int(due_at.timestamp()) * 1000 - days_left,
        title=f"The access review {quarter} {when}",
        body=f"{open_items} lines wait for a decision. Confirm or revoke them in the console, "
        "Access reviews.",
    )


@receiver(signals.default_password)
def tell_default(name: str, user_id: UUID, **_: Any) -> None:  # noqa: ANN401  # the same
    """Alert that anybody can sign in as this person."""
    _raise(
        "access.default_password",
        key=str(user_id),
        severity=Event.Severity.CRITICAL,
        title=f"{name} has a default password",
        body="Anybody can sign in as this person. It was written past the platform, which refuses "
        f"such passwords. Run on the machine: manage.py reset_password {name}",
    )


@receiver(signals.mfa_removed)
def tell_removed(name: str, by: str, what: str, user_id: UUID, **_: Any) -> None:  # noqa: ANN401  # the same
    """Alert that a second factor is gone."""
    _raise(
        "access.mfa_removed",
        key=str(user_id),
        title=f"{name} lost a second factor: {what}",
        body=f"Removed by {by}. If {name} knows nothing of it, disable the account.",
    )


def _raise(
    kind: str,
    *,
    key: str,
    title: str,
    body: str,
    severity: str = Event.Severity.WARNING,
    seq: int | None = None,
    labels: dict[str, str] | None = None,
    suppressed_by: str = "",
) -> None:
    with transaction.atomic():
        emit(
            actor=SYSTEM,
            kind=kind,
            severity=severity,
            status=Event.Status.INFO,
            dedup_key=f"{kind}:{key}"[:200],
            # Each is news of its own: nothing resolves it.
            transition_seq=seq if seq is not None else time.time_ns() // 1_000,
            title=title,
            body=body,
            labels={name: text for name, text in (labels or {}).items() if text},
            links={"audit log": f"{settings.BASE_URL.rstrip('/')}/admin/audit/auditrecord/"},
            suppressed_by=suppressed_by,
        )
