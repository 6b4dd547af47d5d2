"""The notification centre: what stands in it, in which order, what is new, and where it leads."""

import re
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications.engine.audiences import of_user
from notifications.models import Feed, FeedEntry, ReadCursor
from notifications.services import live

pytestmark = pytest.mark.django_db

ALERTS = "topic:alerts"
CENTRE = "/account/centre/"
READ = "/account/centre/read/"
TITLE = re.compile(r'class="what">(?:<a href="[^"]*">|<span>)([^<]*)<')


def alert(title, severity="critical", status="firing", url="/admin/reliability/incident/1/change/"):
    data = {"title": title, "severity": severity, "status": status, "service": "Shop", "url": url}
    return live.publish(ALERTS, "alert", data)


def tell(user, title, kind="message", **data):
    told = {"title": title, "severity": "warning", "status": "firing", "reason": "first", **data}
    return live.publish(of_user(user.pk), kind, told)


def age(audience, seq, **past):
    """Let an entry be older than it is."""
    moment = timezone.now() - timedelta(**past)
    FeedEntry.objects.filter(audience=audience, seq=seq).update(created_at=moment)


def titles(answer):
    return TITLE.findall(answer.content.decode())


@pytest.fixture
def operator(make_user):
    return make_user(role="operator")


@pytest.fixture
def page(console, operator):
    return console(operator)


def test_alerts_and_own_messages_stand_together_newest_first(page, operator, make_user):
    tell(make_user(role="admin"), "For another")
    alert("Oldest")
    tell(operator, "In between")
    alert("Newest", severity="info")
    live.publish("topic:services", "service.changed", {"service": 1})

    answer = page.get(CENTRE)

    assert answer.status_code == 200
    assert titles(answer) == ["Newest", "In between", "Oldest"]
    said = answer.content.decode()
    assert said.count('class="unread"') == 3
    assert "<span>Sent to you</span>" in said
    assert 'href="/admin/reliability/incident/1/change/"' in said
    assert "For another" not in said


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"reason": "escalation"}, "Sent to you: Nobody has acknowledged"),
        ({"reason": "escalation", "text": "Step 2 of Duty"}, "Sent to you: Step 2 of Duty"),
        ({"reason": "all_resolved", "status": "resolved"}, "Sent to you"),
        ({"reason": "unheard of"}, "Sent to you"),
    ],
)
def test_a_message_says_why_it_was_sent(page, operator, told, why):
    tell(operator, "Shop is down", **told)

    assert f"<span>{why}</span>" in page.get(CENTRE).content.decode()


def test_a_message_leads_to_its_thread_for_who_may_see_it(page, operator):
    tell(operator, "Shop is down", group=7)
    tell(operator, "Till is down", group="7/../../evil")

    said = page.get(CENTRE).content.decode()

    threads = re.findall(r'href="(/admin/notifications/group/[^"]+)"', said)
    assert threads == ["/admin/notifications/group/7/change/"]


def test_an_empty_centre_says_what_will_stand_there(page):
    said = page.get(CENTRE).content.decode()

    assert "Nothing yet" in said
    assert "Mark all as read" not in said


def test_who_may_not_see_alerts_sees_only_jobs_of_their_own(console, make_user):
    person = make_user(role="user")
    alert("Shop is down")
    tell(person, "Sent while it was allowed")
    tell(person, "Yours", kind="job.finished", ok=True)

    answer = console(person).get(CENTRE)

    assert titles(answer) == ["Yours"]
    assert "every alert" not in answer.content.decode()
    assert "To you" not in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=alert", ["Critical", "Resolved"]),
        ("kind=message", ["Message"]),
        ("kind=job.finished", ["Job"]),
        ("severity=critical", ["Critical"]),
        ("severity=warning", ["Message", "Resolved"]),
        ("kind=alert&severity=warning", ["Resolved"]),
        ("kind=job.finished&severity=info", []),
        ("unread=1", ["Critical", "Message"]),
        ("kind=nonsense&severity=nonsense", ["Critical", "Message", "Resolved", "Job"]),
    ],
)
def test_filters_show_what_was_asked_for(page, operator, query, found):
    job = tell(operator, "Job", kind="job.finished", severity="", ok=True)
    resolved = alert("Resolved", severity="warning", status="resolved")
    tell(operator, "Message")
    alert("Critical")
    live.mark_read(user_id=operator.pk, audience=ALERTS, seq=resolved)
    live.mark_read(user_id=operator.pk, audience=of_user(operator.pk), seq=job)

    answer = page.get(f"{CENTRE}?{query}")

    assert titles(answer) == found
    assert ("Nothing here matches" in answer.content.decode()) is not found


def link(answer, name):
    found = re.search(rf'rel="{name}" href="([^"]*)"', answer.content.decode())
    return found[1].replace("&amp;", "&") if found else None


def test_pages_lead_to_older_and_newer_and_lose_and_repeat_nothing(page, operator):
    for number in range(80):
        alert(f"Alert {number}")
        if number % 2:
            tell(operator, f"Message {number}")

    seen, answer = [], page.get(CENTRE)
    assert link(answer, "prev") is None
    steps = [answer]
    while True:
        seen += titles(answer)
        older = link(answer, "next")
        if older is None:
            break
        answer = page.get(CENTRE + older)
        steps.append(answer)
    assert len(seen) == len(set(seen)) == 120
    assert [len(titles(step)) for step in steps] == [50, 50, 20]
    assert seen == _all(operator)

    back = page.get(CENTRE + link(steps[2], "prev"))
    assert titles(back) == titles(steps[1])
    assert titles(page.get(CENTRE + link(back, "prev"))) == titles(steps[0])


def _all(operator):
    rows = FeedEntry.objects.filter(audience__in=[ALERTS, of_user(operator.pk)])
    return [row.payload["title"] for row in rows.order_by("-created_at", "-pk")]


def test_what_comes_meanwhile_moves_no_page(page):
    for number in range(60):
        alert(f"Alert {number}")
    older = link(page.get(CENTRE), "next")
    alert("Later")

    assert titles(page.get(CENTRE + older)) == [f"Alert {number}" for number in range(9, -1, -1)]


@pytest.mark.parametrize("place", ["x", "alerts-", "me-1.alerts-1e9", "a" * 500, "alerts--1"])
def test_a_place_that_nobody_wrote_is_the_newest_page(page, place):
    alert("Newest")
    assert titles(page.get(f"{CENTRE}?before={place}")) == ["Newest"]
    assert titles(page.get(f"{CENTRE}?after={place}")) == ["Newest"]


def _upto(answer):
    return re.search(r'name="upto" value="([^"]*)"', answer.content.decode())[1]


def test_marking_all_as_read_stops_at_what_the_page_has_shown(page, operator):
    alert("Seen")
    tell(operator, "Seen too")
    upto = _upto(page.get(CENTRE))
    alert("Came meanwhile")

    answer = page.post(READ, {"upto": upto, "next": f"{CENTRE}?kind=alert"})

    assert (answer.status_code, answer["Location"]) == (302, f"{CENTRE}?kind=alert")
    read = dict(ReadCursor.objects.filter(user=operator).values_list("audience", "seq"))
    assert read == {ALERTS: 1, of_user(operator.pk): 1}
    assert titles(page.get(f"{CENTRE}?unread=1")) == ["Came meanwhile"]


def test_nobody_reads_for_others_and_nothing_changes_by_looking(page, operator, make_user):
    other = make_user(role="operator")
    tell(other, "Theirs")
    alert("Shop is down")
    page.get(CENTRE)
    assert not ReadCursor.objects.exists()

    assert page.get(READ).status_code == 405
    page.post(READ, {"upto": "alerts-1.me-1.services-7"})

    read = dict(ReadCursor.objects.values_list("user__username", "seq"))
    assert set(read) == {operator.username}
    audiences = set(ReadCursor.objects.values_list("audience", flat=True))
    assert audiences == {ALERTS, of_user(operator.pk)}
    assert dict(Feed.objects.values_list("audience", "last_seq")) == {
        ALERTS: 1,
        of_user(other.pk): 1,
    }


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "", "javascript:x"])
def test_the_form_leads_nowhere_else(page, target):
    answer = page.post(READ, {"upto": "alerts-1", "next": target})

    assert answer["Location"] == CENTRE


def test_a_token_is_needed_to_mark_as_read(operator):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)
    alert("Shop is down")

    assert strict.post(READ, {"upto": "alerts-1"}).status_code == 403
    assert not ReadCursor.objects.exists()


def test_links_to_other_sites_are_no_links_and_titles_are_text(page):
    alert("<script>alert(1)</script>", url="https://evil.example/x")

    said = page.get(CENTRE).content.decode()

    assert "evil.example" not in said
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said


def test_what_is_no_longer_kept_counts_as_read(page, operator):
    alert("Long ago")
    alert("Lately")
    age(ALERTS, 1, days=8)
    assert live.trim() == 1

    answer = page.get(CENTRE)

    assert titles(answer) == ["Lately"]
    assert ">, 1 unread<" in answer.content.decode()


@pytest.mark.parametrize("count", [1, 4_000])
def test_a_page_costs_the_same_number_of_queries(
    page, operator, count, django_assert_max_num_queries
):
    rows = [
        FeedEntry(audience=ALERTS, seq=seq, kind="alert", severity="info", payload={"title": "x"})
        for seq in range(1, count + 1)
    ]
    FeedEntry.objects.bulk_create(rows, batch_size=500)
    Feed.objects.create(audience=ALERTS, last_seq=count)
    page.get(reverse("notification-centre"))

    with django_assert_max_num_queries(22):
        page.get(f"{CENTRE}?severity=info")


def test_the_severity_is_kept_beside_the_entry_and_only_a_known_one(operator):
    alert("A", severity="critical")
    live.publish(ALERTS, "alert", {"severity": "enormous"})
    live.publish(ALERTS, "alert", {"severity": ["critical"]})
    live.publish("topic:services", "service.changed", {"service": 1})

    assert list(FeedEntry.objects.order_by("pk").values_list("severity", flat=True)) == [
        "critical",
        "",
        "",
        "",
    ]


def test_the_centre_stands_in_the_sidebar_and_under_the_bell(page):
    said = page.get("/admin/").content.decode()

    assert said.count(f'href="{CENTRE}"') == 3


def test_entries_of_before_the_upgrade_get_their_severity():
    migration = import_module("notifications.migrations.0005_feed_severity")
    alert("Old", severity="warning")
    live.publish(ALERTS, "alert", {"title": "Odd", "severity": "enormous"})
    live.publish("topic:services", "service.changed", {"severity": "critical"})
    FeedEntry.objects.update(severity="")

    migration.fill(apps, None)

    found = FeedEntry.objects.order_by("pk").values_list("severity", flat=True)
    assert list(found) == ["warning", "", ""]
