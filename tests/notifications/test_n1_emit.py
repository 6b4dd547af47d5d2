"""One INSERT in the caller's transaction, whatever the text and however often."""

import pytest
from django.db import transaction

from core.actors import Actor
from core.errors import InvalidInputError
from notifications.models import Event, Notification
from tests.notifications.conftest import raise_alert, route_all

pytestmark = pytest.mark.django_db


class BrokenError(Exception):
    """Breaks the caller's transaction."""


def test_event_holds_what_was_raised():
    event = raise_alert(
        actor=Actor.schedule("reliability.probes"),
        body="HTTP 500",
        labels={"region": "eu"},
        links={"Incident": "https://ops.example.com/i/1"},
    )

    assert (event.kind, event.severity, event.status) == ("check.down", "critical", "firing")
    assert (event.title, event.body, event.service) == ("shop is down", "HTTP 500", "shop")
    assert (event.dedup_key, event.transition_seq) == ("check:1", 1)
    assert event.labels == {"region": "eu"}
    assert event.links == {"Incident": "https://ops.example.com/i/1"}
    assert event.raised_by == "reliability.probes (schedule)"
    assert (event.routed_at, event.routing) == (None, "")


def test_emit_is_one_insert_and_one_look(django_assert_num_queries, make_webhook):
    make_webhook()

    with django_assert_num_queries(2) as captured:
        raise_alert()

    assert [query["sql"].split()[0] for query in captured] == ["INSERT", "SELECT"]
    assert all('"notifications_event"' in query["sql"] for query in captured)
    assert Notification.objects.count() == 0


def test_rolled_back_caller_leaves_nothing():
    def caller():
        with transaction.atomic():
            raise_alert()
            raise BrokenError

    with pytest.raises(BrokenError):
        caller()

    assert Event.objects.count() == 0
    assert route_all() == 0
    assert Notification.objects.count() == 0


def test_repeated_transition_returns_the_first_event():
    first = raise_alert(title="first")

    again = raise_alert(title="second")

    assert (again.pk, again.title) == (first.pk, "first")
    assert Event.objects.count() == 1


def test_repeat_does_not_break_the_callers_transaction():
    raise_alert()

    with transaction.atomic():
        raise_alert()
        later = raise_alert(transition_seq=2, status="resolved")

    assert list(Event.objects.order_by("id").values_list("pk", flat=True))[-1] == later.pk
    assert Event.objects.count() == 2


def test_same_number_of_another_key_is_another_event():
    raise_alert(dedup_key="check:1")

    raise_alert(dedup_key="check:2")

    assert Event.objects.count() == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a\x00b", "a b"),
        ("line\r\nBcc: x", "line Bcc: x"),
        ("half \ud800", "half ?"),
        ("x" * 400, "x" * 299 + "…"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("   ", "check.down"),
    ],
)
def test_title_is_made_storable_never_refused(given, kept):
    event = raise_alert(title=given)

    event.refresh_from_db()
    assert event.title == kept


def test_secrets_in_texts_are_masked():
    event = raise_alert(
        title="login with password=hunter22 failed",
        body="GET https://user:hunter22@db.example.com/",
        labels={"api_key": "hunter22", "region": "eu"},
    )

    assert event.title == "login with password=[masked] failed"
    assert event.labels == {"api_key": "[masked]", "region": "eu"}
    assert "hunter22" not in event.body


def test_long_body_labels_and_links_are_cut():
    event = raise_alert(
        body="b" * 9_000,
        labels={f"label{number}": "v" * 300 for number in range(40)},
        links={"long": "https://x/" + "y" * 3_000, "short": "https://x/"},
    )

    assert len(event.body) == 8_000
    assert len(event.labels) == 32
    assert {len(value) for value in event.labels.values()} == {200}
    assert event.links == {"short": "https://x/"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", ""),
        ("kind", "k" * 101),
        ("severity", "fatal"),
        ("status", "acknowledged"),
        ("dedup_key", ""),
        ("dedup_key", "k" * 201),
        ("dedup_key", "a\nb"),
        ("transition_seq", -1),
        ("transition_seq", 2**63),
    ],
)
def test_what_code_chooses_is_refused_when_wrong(field, value):
    with pytest.raises(InvalidInputError) as refused:
        raise_alert(**{field: value})

    assert list(refused.value.errors) == [field]
    assert Event.objects.count() == 0
