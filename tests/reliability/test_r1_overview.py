"""What all services say: the same as their own pages, counted in a constant number of queries."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from reliability.engine.strikes import State
from reliability.models import Check, CheckState, Service
from reliability.selectors import overview, states

pytestmark = pytest.mark.django_db


@pytest.fixture
def everything(make_service, make_check):
    """Make services with one, two or no checks in every state, fresh and old, on and off."""
    now = datetime.now(UTC)
    make_service("Bare", tier="critical")
    ages = {
        "fresh": timedelta(seconds=5),
        "nearly": timedelta(seconds=95),
        "old": timedelta(days=1),
    }
    for state in State:
        for word, age in ages.items():
            check = make_check(service=make_service(f"{state} {word}"))
            CheckState.objects.filter(check_of=check).update(
                state=state, last_at=now - age, since=now - timedelta(days=3)
            )
            other = make_check(service=make_service(f"{state} {word}, and one more"))
            CheckState.objects.filter(check_of=other).update(
                state=state, last_at=now - age, since=now - timedelta(days=3)
            )
            more = make_check(service=other.service, enabled=word != "old")
            CheckState.objects.filter(check_of=more).update(
                state="degraded", last_at=now, since=now - timedelta(days=2)
            )
    make_check(service=make_service("Off"), enabled=False)
    make_check(service=make_service("New"))
    ahead = make_check(service=make_service("Clock was set back"))
    CheckState.objects.filter(check_of=ahead).update(
        state="down", last_at=now - timedelta(days=1), since=now + timedelta(minutes=5)
    )


def test_it_says_what_each_service_says(everything):
    said = {service.name: states.worst_state(service) for service in states.services()}

    found = overview.overview(most=1000)

    assert {one.name: one.state for one in found.worst} == said
    assert {state: count for state, count in found.counts.items() if count} == {
        state: list(said.values()).count(state) for state in set(said.values())
    }
    assert overview.counts() == {state.value: count for state, count in found.counts.items()}
    assert found.total == Service.objects.count()
    assert found.unwatched == 2


def test_the_worst_come_first_then_the_weightier_then_by_name(make_service, make_check):
    for name, tier in (("b", "standard"), ("A", "standard"), ("z", "critical"), ("m", "important")):
        make_check(service=make_service(name, tier=tier))
    down = make_check(service=make_service("zz"))
    CheckState.objects.filter(check_of=down).update(state="down", last_at=datetime.now(UTC))

    names = [one.name for one in overview.overview(most=4).worst]

    assert names == ["zz", "z", "m", "A"]


def test_since_is_that_of_the_worst_checks(make_service, make_check):
    service = make_service()
    now = datetime.now(UTC)
    for state, hours in (("down", 2), ("down", 5), ("up", 9)):
        check = make_check(service=service)
        since = now - timedelta(hours=hours)
        CheckState.objects.filter(check_of=check).update(state=state, last_at=now, since=since)

    (one,) = overview.overview(most=1).worst

    assert (one.state, one.since) == (State.DOWN, now - timedelta(hours=5))


def test_an_empty_catalogue_counts_nothing():
    found = overview.overview(most=5)

    assert (found.total, found.worst, found.unwatched) == (0, (), 0)
    assert overview.open_count() == 0


def test_many_take_as_many_queries_as_few(make_check):
    counts = []
    for _ in range(2):
        for _ in range(5):
            make_check()
        with CaptureQueriesContext(connection) as queries:
            overview.overview(most=3)
        counts.append(len(queries))

    assert counts == [4, 4]


@pytest.mark.parametrize(
    ("state", "seconds"), [("up", 60), ("suspect", 20), ("recovering", 20), ("down", 60)]
)
def test_the_next_probe_comes_sooner_after_a_surprise(make_check, state, seconds):
    check = make_check()
    now = datetime.now(UTC)
    assert states.next_probe(check) is None
    CheckState.objects.filter(check_of=check).update(state=state, last_at=now)

    assert states.next_probe(Check.objects.get(pk=check.pk)) == now + timedelta(seconds=seconds)
