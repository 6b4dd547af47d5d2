"""Whatever happens to alerts: whoever hears that one began hears that it is over, and once."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.actors import SYSTEM
from notifications.models import Event, Group, GroupMember, Notification, Route
from notifications.services import routes
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route, mark_sent, pass_time

ALERTS = 4

steps = st.one_of(
    st.tuples(st.sampled_from(["fire", "resolve", "worsen", "note"]), st.integers(0, ALERTS - 1)),
    st.tuples(st.sampled_from(["route", "send", "wait", "edit"]), st.just(0)),
)


class History:
    """Raises what a source would raise: an alert that holds can only end, and the other way."""

    def __init__(self) -> None:
        self.seqs: Counter[int] = Counter()
        self.holds: set[int] = set()
        self.edits = 0

    def take(self, what: str, number: int) -> None:
        """Take one step."""
        if what == "route":
            route_all()
        elif what == "send":
            mark_sent()
        elif what == "wait":
            pass_time(seconds=70)
        elif what == "edit":
            self.edits += 1
            group_by = [["service"], ["alert"], ["kind", "severity"]][self.edits % 3]
            found = Route.objects.get(name="Shop")
            routes.update(actor=SYSTEM, route_id=found.pk, group_by=group_by)
        elif what == "note":
            self._raise(number + 100, "info")
        elif what == "resolve":
            if number in self.holds:
                self.holds.discard(number)
                self._raise(number, "resolved")
        elif what == "fire" or number in self.holds:
            self.holds.add(number)
            severity = "critical" if what == "worsen" else "warning"
            self._raise(number, "firing", severity)

    def end(self) -> None:
        """Let everything be over and told."""
        for number in sorted(self.holds):
            self._raise(number, "resolved")
        for _ in range(3):
            route_all()
            mark_sent()
            pass_time(seconds=400)
        route_all()

    def _raise(self, number: int, status: str, severity: str = "warning") -> None:
        self.seqs[number] += 1
        raise_alert(
            dedup_key=f"check:{number}",
            status=status,
            severity=severity,
            transition_seq=self.seqs[number],
        )


@pytest.mark.django_db
@given(history=st.lists(steps, max_size=25))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_beginning_has_its_end(make_webhook, history):
    for model in (Notification, GroupMember, Group, Event):
        model.objects.all().delete()
    if not Route.objects.filter(name="Shop").exists():
        make_route(make_webhook(), group_wait_seconds=30, group_interval_seconds=60)
    past = History()
    for what, number in history:
        past.take(what, number)
    past.end()

    assert not Event.objects.filter(routed_at=None).exists()
    assert not Group.objects.filter(closed_at=None).exists()
    _each_thread_is_numbered_without_gaps()
    _nobody_is_told_twice()
    _the_last_word_is_that_it_is_over()


def _each_thread_is_numbered_without_gaps() -> None:
    for group in Group.objects.all():
        rows = Notification.objects.filter(group=group).order_by("seq")
        numbers = sorted(set(rows.values_list("seq", flat=True)))
        assert numbers == list(range(1, group.last_seq + 1))


def _nobody_is_told_twice() -> None:
    told: dict[tuple[object, object], list[tuple[int, str]]] = defaultdict(list)
    for row in Notification.objects.exclude(channel=None).order_by("seq"):
        told[row.group_id, row.channel_id].append((row.seq, row.reason))
    for said in told.values():
        assert len(said) == len(set(said))
    news = Notification.objects.exclude(channel=None).exclude(reason__in=["repeat", "new_resolved"])
    singles = [(row.channel_id, row.group_id, row.event_id, row.payload["status"]) for row in news]
    assert len(singles) == len(set(singles))


def _the_last_word_is_that_it_is_over() -> None:
    last: dict[tuple[object, object], Notification] = {}
    for row in (
        Notification.objects.exclude(channel=None).exclude(state="suppressed").order_by("seq")
    ):
        last[row.group_id, row.channel_id] = row
    for row in last.values():
        assert row.payload["status"] in {"resolved", "info"}, row.payload
    assert not GroupMember.objects.filter(told="firing").exists()
