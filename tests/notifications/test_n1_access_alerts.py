"""What happens to accounts is alerted."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from accounts import signals
from notifications.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


def told():
    return [(event.kind, event.severity, event.title) for event in Event.objects.order_by("id")]


@pytest.mark.parametrize(
    ("signal", "facts", "expected"),
    [
        (
            signals.account_locked,
            {"name": "ann", "address": "192.0.2.1", "place": "password", "minutes": 15},
            ("access.account_locked", "warning", "ann is locked out for 15 minutes"),
        ),
        (
            signals.many_failures,
            {"failures": 1_000, "minutes": 5},
            ("access.many_failures", "critical", "1,000 failed sign-ins within 5 minutes"),
        ),
        (
            signals.superuser_signed_in,
            {"user_id": uuid4(), "name": "root", "address": "192.0.2.1"},
            ("access.superuser_signed_in", "warning", "The superuser root has signed in"),
        ),
        (
            signals.passkey_cloned,
            {"user_id": uuid4(), "name": "ann", "label": "Key"},
            (
                "access.passkey_cloned",
                "critical",
                "The passkey Key of ann may have been copied",
            ),
        ),
        (
            signals.refresh_reused,
            {"user_id": uuid4(), "name": "ann", "session": str(uuid4()), "address": ""},
            ("access.refresh_reused", "critical", "A refresh token of ann was used twice"),
        ),
        (
            signals.api_key_expiring,
            {
                "key_id": "k",
                "label": "CI",
                "owner": "ann",
                "owner_id": uuid4(),
                "days": 3,
                "expires_at": datetime(2026, 12, 1, tzinfo=UTC),
            },
            ("access.api_key_expiring", "warning", "The API key CI of ann ends in 3 days"),
        ),
        (
            signals.access_review_due,
            {
                "review_id": 1,
                "quarter": "2026-Q4",
                "days_left": -7,
                "due_at": datetime(2026, 12, 1, tzinfo=UTC),
                "open_items": 3,
            },
            ("access.review_due", "warning", "The access review 2026-Q4 is 7 days overdue"),
        ),
        (
            signals.mfa_removed,
            {"user_id": uuid4(), "name": "ann", "by": "root", "what": "Phone"},
            ("access.mfa_removed", "warning", "ann lost a second factor: Phone"),
        ),
    ],
)
def test_a_signal_becomes_an_alert(signal, facts, expected):
    signals.tell(signal, **facts)

    assert told() == [expected]


def test_names_that_nobody_has_are_told_once_an_hour():
    for _ in range(3):
        signals.tell(
            signals.account_locked, name="", address="192.0.2.1", place="password", minutes=15
        )

    # Each costs what a known name costs, or the answer's time would tell the two apart.
    assert [title for _, _, title in told()] == ["An unknown name is locked out for 15 minutes"] * 3
    withheld = Event.objects.order_by("id").values_list("suppressed_by", flat=True)
    later = "Names that nobody has are told once an hour."
    assert list(withheld) == ["", later, later]


def test_a_receiver_that_fails_harms_nobody(monkeypatch, caplog):
    monkeypatch.setattr("notifications.receivers.emit", lambda **_: 1 / 0)

    signals.tell(signals.many_failures, failures=1_000, minutes=5)

    assert "failed" in caplog.text
    assert told() == []
