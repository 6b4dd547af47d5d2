"""Silences in the console: what they mean, for how long, who may add and end them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import SYSTEM
from notifications.admin.silence_form import end_of
from notifications.models import Group, Notification, Silence
from notifications.services import silences
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route

pytestmark = pytest.mark.django_db

LIST = "/admin/notifications/silence/"
ADD = "/admin/notifications/silence/add/"


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


@pytest.fixture
def silence(db):
    return silences.create(
        actor=SYSTEM,
        matchers=[{"field": "service", "op": "=", "values": ["shop"]}],
        ends_at=timezone.now() + timedelta(hours=2),
        comment="Load test",
    )


def form(**changes):
    return {
        "matchers-0-field": "service",
        "matchers-0-op": "=",
        "matchers-0-values": "shop",
        "lasts": "4h",
        "starts_at": "",
        "ends_at": "",
        "comment": "Load test",
        **changes,
    }


def test_a_silence_is_added_for_some_hours(as_role):
    began = timezone.now()

    answer = as_role("engineer").post(ADD, form())

    silence = Silence.objects.get()
    assert answer.url == f"{LIST}{silence.pk}/"
    assert silence.matchers == [{"field": "service", "op": "=", "values": ["shop"]}]
    lasts = silence.ends_at - began
    assert timedelta(hours=4) <= lasts < timedelta(hours=4, minutes=5)
    assert AuditRecord.objects.filter(action="silence.created", actor_kind="user").count() == 1


@pytest.mark.parametrize(
    ("lasts", "ends"),
    [
        ("1h", datetime(2026, 3, 4, 11, 30, tzinfo=UTC)),
        ("24h", datetime(2026, 3, 5, 10, 30, tzinfo=UTC)),
        ("tomorrow", datetime(2026, 3, 5, 8, tzinfo=UTC)),
        ("until", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_it_ends_when_the_form_says(lasts, ends):
    begins = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)

    assert end_of(lasts, begins, datetime(2026, 4, 1, tzinfo=UTC)) == ends


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"comment": ""}, "This field is required."),
        ({"matchers-0-field": "", "matchers-0-values": ""}, "Add one, or confirm."),
        ({"matchers-0-field": "colour"}, "is no field"),
        ({"lasts": "until"}, "Say when it ends."),
        ({"lasts": "until", "ends_at": "2020-01-01T00:00:00"}, "choose a later time"),
        ({"lasts": "until", "ends_at": "2100-01-01T00:00:00"}, "At most 366 days"),
        ({"starts_at": "2020-01-01T00:00:00"}, "A silence begins now or later"),
        ({"lasts": "for ever"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_told_and_silences_nothing(as_role, changes, told):
    answer = as_role("operator").post(ADD, form(**changes))

    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert Silence.objects.count() == 0


def test_silencing_everything_must_be_confirmed(as_role):
    bare = {"matchers-0-field": "", "matchers-0-values": ""}

    as_role("operator").post(ADD, form(**bare, everything="on"))

    assert Silence.objects.get().matchers == []


def test_the_preview_tells_what_is_meant_and_saves_nothing(as_role, make_webhook):
    make_route(make_webhook())
    raise_alert(dedup_key="a", service="shop", title="shop is down")
    raise_alert(dedup_key="b", service="wiki", title="wiki is down")
    route_all()
    raise_alert(dedup_key="c", service="shop", title="shop is slow")

    page = as_role("operator").post(ADD, form(_preview="Show what it means")).content.decode()

    assert "<strong>1 alert</strong> that holds now matches; of the last 7 days 2 do." in page
    assert "shop is down" in page
    assert "shop is slow" in page
    assert "wiki is down" not in page
    assert "Nothing is silenced yet." in page
    assert Silence.objects.count() == 0


def test_the_form_begins_with_the_conditions_of_an_alert(as_role):
    event = raise_alert(kind="check.down", service="shop", labels={"team": "payments"})

    page = as_role("operator").get(f"{ADD}?event={event.pk}").content.decode()

    for number, (field, value) in enumerate(
        [("kind", "check.down"), ("service", "shop"), ("label.team", "payments")]
    ):
        assert f'name="matchers-{number}-field" value="{field}"' in page
        assert f'name="matchers-{number}-values" value="{value}"' in page


def test_the_form_begins_with_what_a_thread_has_in_common(as_role, make_webhook):
    make_route(make_webhook(), group_by=["service"])
    raise_alert()
    route_all()

    page = as_role("operator").get(f"{ADD}?group={Group.objects.get().pk}").content.decode()

    assert 'name="matchers-0-field" value="service"' in page
    assert 'name="matchers-1-field" value=""' in page


@pytest.mark.parametrize("query", ["event=999", "event=x", "group=999", "group=-1"])
def test_an_alert_that_is_not_there_leaves_the_form_empty(as_role, query):
    answer = as_role("operator").get(f"{ADD}?{query}")

    assert answer.status_code == 200
    assert 'name="matchers-0-field" value=""' in answer.content.decode()


def test_a_change_ends_the_silence_and_adds_another(as_role, silence):
    client = as_role("operator")
    url = f"{LIST}{silence.pk}/change/"
    assert 'value="Load test"' in client.get(url).content.decode()

    answer = client.post(url, form(comment="Longer", lasts="24h"))

    silence.refresh_from_db()
    newer = Silence.objects.get(replaces=silence)
    assert answer.url == f"{LIST}{newer.pk}/"
    assert silence.ended_at is not None
    assert (newer.comment, newer.ended_at) == ("Longer", None)


def test_ending_asks_first_and_then_tells_what_it_kept_back(as_role, silence, make_webhook):
    channel = make_webhook()
    raise_alert(service="shop")
    route_all()
    assert not Notification.objects.filter(channel=channel).exists()
    client = as_role("operator")
    url = f"{LIST}{silence.pk}/end/"
    assert "End this silence?" in client.get(url).content.decode()
    silence.refresh_from_db()
    assert silence.ended_at is None

    answer = client.post(url)
    route_all()

    assert answer.url == f"{LIST}{silence.pk}/"
    assert Notification.objects.filter(channel=channel).count() == 1
    assert AuditRecord.objects.filter(action="silence.ended").count() == 1


def test_what_is_over_can_be_read_alone(as_role, silence):
    silences.end(actor=SYSTEM, silence_id=silence.pk)
    client = as_role("admin")

    page = client.get(f"{LIST}{silence.pk}/").content.decode()
    assert "End it now" not in page
    assert client.get(f"{LIST}{silence.pk}/change/").status_code == 302
    assert client.post(f"{LIST}{silence.pk}/change/", form()).status_code == 403
    assert client.post(f"{LIST}{silence.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Silence.objects.count() == 1


def test_the_list_shows_what_holds_and_the_rest_by_tabs(as_role, silence):
    now = timezone.now()
    silences.create(
        actor=SYSTEM,
        matchers=silence.matchers,
        starts_at=now + timedelta(days=1),
        ends_at=now + timedelta(days=2),
        comment="Planned one",
    )
    over = silences.create(
        actor=SYSTEM,
        matchers=silence.matchers,
        ends_at=now + timedelta(days=2),
        comment="Ended one",
    )
    silences.end(actor=SYSTEM, silence_id=over.pk)
    client = as_role("manager")

    def named(query):
        page = client.get(LIST, query).content.decode()
        return {name for name in ("Load test", "Planned one", "Ended one") if name in page}

    assert named({}) == {"Load test"}
    assert named({"holds": "later"}) == {"Planned one"}
    assert named({"holds": "over"}) == {"Ended one"}
    assert named({"holds": "all"}) == {"Load test", "Planned one", "Ended one"}


@pytest.mark.parametrize("role", ["manager", "auditor"])
def test_who_may_only_read_changes_nothing(as_role, silence, role):
    before = Silence.objects.values().get()
    client = as_role(role)

    page = client.get(f"{LIST}{silence.pk}/").content.decode()
    assert "End it now" not in page
    assert client.post(ADD, form()).status_code == 403
    assert client.post(f"{LIST}{silence.pk}/change/", form()).status_code == 403
    assert client.post(f"{LIST}{silence.pk}/end/").status_code == 403
    assert client.get(f"{LIST}{silence.pk}/end/").status_code == 403

    assert Silence.objects.values().get() == before


def test_markup_in_a_reason_stays_text(as_role):
    client = as_role("operator")

    client.post(ADD, form(comment="<b>now</b>", **{"matchers-0-values": '"><script>'}))

    page = client.get(f"{LIST}{Silence.objects.get().pk}/").content.decode()
    assert "&lt;b&gt;now&lt;/b&gt;" in page
    assert "<b>now" not in page
    assert "<script>" not in page.split('id="content"')[1]


def test_a_thread_of_many_alerts_is_silenced_by_what_all_that_hold_share(as_role, make_webhook):
    make_route(make_webhook(), group_by=[])
    for number in range(3):
        labels = {"environment": "production", "check": f"probe {number}"}
        raise_alert(dedup_key=f"a{number}", kind="reliability.check_down", labels=labels)
    raise_alert(dedup_key="over", kind="other", service="shop")
    route_all()
    raise_alert(dedup_key="over", kind="other", status="resolved", transition_seq=2)
    route_all()
    group = Group.objects.get()

    page = as_role("operator").get(f"{ADD}?group={group.pk}").content.decode()

    shared = [
        ("kind", "reliability.check_down"),
        ("service", "shop"),
        ("label.environment", "production"),
    ]
    for number, (field, value) in enumerate(shared):
        assert f'name="matchers-{number}-field" value="{field}"' in page
        assert f'name="matchers-{number}-values" value="{value}"' in page
    assert 'name="matchers-3-field" value=""' in page
    assert "The conditions are what the 3 alerts of the thread have in common." in page


def test_a_thread_of_unlike_alerts_leaves_the_conditions_to_the_person(as_role, make_webhook):
    everything = [{"field": "severity", "op": "=", "values": ["critical"]}]
    make_route(make_webhook(), group_by=[], matchers=everything)
    raise_alert(dedup_key="a", kind="one", service="shop")
    raise_alert(dedup_key="b", kind="two", service="wiki")
    route_all()

    page = as_role("operator").get(f"{ADD}?group={Group.objects.get().pk}").content.decode()

    assert 'name="matchers-0-field" value=""' in page
    assert "The 2 alerts of the thread have nothing in common: say which are meant." in page
