"""Rows of the live feed: numbers without gaps, in the order of commits."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from core.errors import InvalidInputError
from notifications import selectors
from notifications.models import Feed, FeedEntry, ReadCursor
from notifications.services import live
from notifications.services.live import News
from notifications.tasks import trim_feeds
from tests.notifications.conftest import raise_alert, route_all

ALERTS = "topic:alerts"


def told(audience=ALERTS):
    rows = FeedEntry.objects.filter(audience=audience).order_by("seq")
    return list(rows.values_list("seq", "kind", "payload"))


@pytest.mark.django_db
def test_entries_are_numbered_from_one_in_each_audience():
    assert [live.publish(ALERTS, "alert", {"n": n}) for n in range(3)] == [1, 2, 3]
    assert live.publish("topic:services", "service.changed", {}) == 1
    assert told() == [(1, "alert", {"n": 0}), (2, "alert", {"n": 1}), (3, "alert", {"n": 2})]
    assert selectors.heads([ALERTS, "topic:services", "topic:other"]) == {
        ALERTS: 3,
        "topic:services": 1,
    }


@pytest.mark.django_db
def test_many_entries_of_several_audiences_keep_their_order():
    with transaction.atomic():
        newest = live.append(
            [News("b", "x", {"n": 1}), News("a", "x", {"n": 2}), News("b", "x", {"n": 3})]
        )

    assert newest == {"a": 1, "b": 2}
    assert told("b") == [(1, "x", {"n": 1}), (2, "x", {"n": 3})]


@pytest.mark.django_db(transaction=True)
def test_entries_need_a_transaction():
    with pytest.raises(RuntimeError):
        live.append([News(ALERTS, "alert", {})])
    assert Feed.objects.count() == 0


@pytest.mark.django_db
def test_a_payload_over_16_kilobytes_is_refused():
    live.publish(ALERTS, "alert", {"text": "x" * 16_000})

    with pytest.raises(InvalidInputError):
        live.publish(ALERTS, "alert", {"text": "x" * 16_384})

    assert selectors.heads([ALERTS]) == {ALERTS: 1}
    assert FeedEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_number_that_is_rolled_back_is_given_again():
    def fail():
        with transaction.atomic():
            live.append([News(ALERTS, "alert", {"n": "lost"})])
            raise ZeroDivisionError

    live.publish(ALERTS, "alert", {"n": 1})
    with pytest.raises(ZeroDivisionError):
        fail()
    live.publish(ALERTS, "alert", {"n": 2})

    assert told() == [(1, "alert", {"n": 1}), (2, "alert", {"n": 2})]


@pytest.mark.django_db(transaction=True)
def test_a_reader_sees_no_gap_while_many_publish():
    done = threading.Event()
    gaps = []
    failures = []

    def publish(number):
        try:
            for count in range(15):
                with transaction.atomic():
                    audiences = [ALERTS, "topic:b"] if number % 2 else ["topic:b", ALERTS]
                    live.append([News(name, "x", {"n": count}) for name in audiences])
        except Exception as error:  # noqa: BLE001  # reported by the test
            failures.append(error)
        finally:
            connections.close_all()

    def read():
        last = 0
        try:
            while not done.is_set() or selectors.entries(ALERTS, last, 1):
                for entry in selectors.entries(ALERTS, last):
                    if entry.seq != last + 1:
                        gaps.append((last, entry.seq))
                    last = entry.seq
        finally:
            connections.close_all()

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=publish, args=[number]) for number in range(6)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()

    assert (failures, gaps) == ([], [])
    assert [seq for seq, _, _ in told()] == list(range(1, 91))
    assert selectors.heads([ALERTS, "topic:b"]) == {ALERTS: 90, "topic:b": 90}


@pytest.mark.django_db(transaction=True)
def test_what_one_transaction_tells_is_published_together_after_it(django_assert_num_queries):
    with transaction.atomic():
        for number in range(3):
            live.publish_after_commit(ALERTS, "alert", {"n": number})
        live.publish_after_commit("topic:services", "service.changed", {})
        assert FeedEntry.objects.count() == 0
        hooks = [hook for _, hook, *_ in connection.run_on_commit]
        assert len(hooks) == 1

    assert [payload["n"] for _, _, payload in told()] == [0, 1, 2]
    assert len(set(FeedEntry.objects.values_list("created_at", flat=True))) == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told():
    with transaction.atomic():
        live.publish_after_commit(ALERTS, "alert", {"n": "kept"})
        with transaction.atomic():
            live.publish_after_commit(ALERTS, "alert", {"n": "lost"})
            transaction.set_rollback(True)
        live.publish_after_commit(ALERTS, "alert", {"n": "kept too"})

    assert [payload["n"] for _, _, payload in told()] == ["kept", "kept too"]


@pytest.mark.django_db(transaction=True)
def test_a_feed_that_cannot_be_written_does_not_disturb_the_caller(caplog):
    with transaction.atomic():
        Feed.objects.create(audience="topic:other")
        live.publish_after_commit(ALERTS, "alert", {"text": "x" * 20_000})

    assert Feed.objects.get().audience == "topic:other"
    logged = [record for record in caplog.records if record.name == "notifications.services.live"]
    assert [record.getMessage() for record in logged] == [
        "The console is not told of 1 changes: An entry holds at most 16384 bytes."
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("count", "kinds"), [(100, ["one"] * 100), (101, ["many"])])
def test_more_than_a_hundred_of_a_kind_are_told_as_one(count, kinds):
    with transaction.atomic():
        for number in range(count):
            live.publish_after_commit(ALERTS, "one", {"n": number}, bulk="many")
        live.publish_after_commit(ALERTS, "alert", {})

    assert [kind for _, kind, _ in told()] == [*kinds, "alert"]


@pytest.mark.django_db
def test_reading_goes_forward_only_and_not_beyond_the_newest(make_user):
    user = make_user()
    for number in range(5):
        live.publish(ALERTS, "alert", {"n": number})

    moves = [live.mark_read(user_id=user.pk, audience=ALERTS, seq=seq) for seq in (2, 1, 4, 99)]

    assert moves == [2, 2, 4, 5]
    assert ReadCursor.objects.get().seq == 5
    where = selectors.positions([ALERTS, "topic:services"], user.pk)
    assert (where[ALERTS].seq, where[ALERTS].read) == (5, 5)
    assert (where["topic:services"].seq, where["topic:services"].read) == (0, 0)


@pytest.mark.django_db
def test_a_key_has_read_everything():
    live.publish(ALERTS, "alert", {})
    where = selectors.positions([ALERTS], None)
    assert (where[ALERTS].seq, where[ALERTS].read) == (1, 1)


@pytest.mark.django_db
def test_entries_leave_after_seven_days_and_numbers_go_on():
    for number in range(3):
        live.publish(ALERTS, "alert", {"n": number})
    week = timezone.now() - timedelta(days=7)
    FeedEntry.objects.filter(seq=1).update(created_at=week - timedelta(seconds=1))
    FeedEntry.objects.filter(seq=2).update(created_at=week + timedelta(minutes=1))

    assert trim_feeds() == 1
    assert [seq for seq, _, _ in told()] == [2, 3]
    FeedEntry.objects.update(created_at=week - timedelta(days=1))
    assert trim_feeds() == 2
    assert trim_feeds() == 0
    assert live.publish(ALERTS, "alert", {}) == 4


@pytest.mark.django_db
def test_the_router_tells_the_console_of_every_alert(make_webhook, settings):
    settings.BASE_URL = "https://ops.example.com"
    make_webhook()
    make_webhook()

    raise_alert(
        body="never shown: it may quote an answer",
        links={"incident": "https://ops.example.com/admin/reliability/incident/5/change/"},
    )
    route_all()

    assert told() == [
        (
            1,
            "alert",
            {
                "title": "shop is down",
                "severity": "critical",
                "status": "firing",
                "service": "shop",
                "url": "/admin/reliability/incident/5/change/",
            },
        )
    ]


@pytest.mark.django_db
def test_the_console_is_told_although_nobody_else_could_be():
    raise_alert()
    route_all()
    assert [payload["title"] for _, _, payload in told()] == ["shop is down"]


@pytest.mark.django_db
def test_suppressed_alerts_stay_silent(make_webhook):
    make_webhook()
    raise_alert(suppressed_by="maintenance of shop")
    route_all()
    assert (told(), Feed.objects.count()) == ([], 0)
