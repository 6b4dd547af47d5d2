"""Escalations and weeks on call in the console: forms without a script, pictures with words."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from django.utils import timezone

from core.actors import SYSTEM
from notifications.models import EscalationChain, OnCallOverride, OnCallSchedule, OnCallSlot
from notifications.selectors import escalation as selectors
from notifications.services import oncall
from tests.notifications.escalations import begin, chain, pass_time, person, thread

pytestmark = pytest.mark.django_db
CHAINS = "/admin/notifications/escalationchain/"
SCHEDULES = "/admin/notifications/oncallschedule/"


@pytest.fixture
def admin(make_user, console):
    return console(person(make_user, "root", role="admin"))


def rows(*given, total=None):
    data = {"rows-TOTAL_FORMS": str(total or len(given)), "rows-INITIAL_FORMS": "0"}
    for number, row in enumerate(given):
        data |= {f"rows-{number}-{name}": value for name, value in row.items()}
    return data


def test_an_escalation_is_added_with_its_steps(admin, make_user, make_webhook):
    ada, hook = person(make_user, "ada"), make_webhook(name="hook")
    blank = {"wait_minutes": "5", "min_severity": "info"}
    steps = [
        {"wait_minutes": "0.5", "min_severity": "info", "people": [str(ada.pk)]},
        {"wait_minutes": "10", "min_severity": "critical", "channels": [str(hook.pk)]},
        blank,
    ]
    answer = admin.post(f"{CHAINS}add/", {"name": "Duty", "repeats": "2", **rows(*steps)})
    assert answer.status_code == 302
    made = EscalationChain.objects.get()
    assert (made.name, made.repeats) == ("Duty", 2)
    assert selectors.in_words(selectors.snapshot(made), repeats=2) == [
        "After 30 s: tell ada.",
        "After 10 min 30 s: tell hook, of critical alerts only.",
        "Then, after 5 min, all of it again, 2 times.",
    ]
    page = admin.get(f"{CHAINS}{made.pk}/change/")
    assert "After 30 s: tell ada." in page.text


def test_a_step_that_names_nobody_is_told_and_nothing_saved(admin):
    step = {"wait_minutes": "7", "min_severity": "info"}
    page = admin.post(f"{CHAINS}add/", {"name": "Duty", "repeats": "0", **rows(step)})
    assert page.status_code == 200
    assert "Step 1: name whom it tells: a channel, a person or a schedule." in page.text
    assert not EscalationChain.objects.exists()


def test_more_rows_come_without_a_script_and_save_nothing(admin):
    step = {"wait_minutes": "7", "min_severity": "info"}
    given = {"name": "Duty", "repeats": "0", "_more_rows": "More steps", **rows(step)}
    page = admin.post(f"{CHAINS}add/", given)
    assert page.status_code == 200
    assert 'name="rows-2-wait_minutes"' in page.text
    assert 'value="7"' in page.text
    assert not EscalationChain.objects.exists()


def test_a_removed_step_is_gone_and_the_rest_stays(admin, make_webhook):
    hook = make_webhook(name="hook")
    made = chain({"channels": [hook.pk]}, {"channels": [hook.pk], "wait_seconds": 600})
    kept = {"wait_minutes": "10", "min_severity": "info", "channels": [str(hook.pk)]}
    first = {**kept, "wait_minutes": "1", "DELETE": "on"}
    data = {"name": "Duty", "repeats": "0", **rows(first, kept), "rows-INITIAL_FORMS": "2"}
    assert admin.post(f"{CHAINS}{made.pk}/change/", data).status_code == 302
    [step] = made.steps.all()
    assert (step.position, step.wait_seconds) == (1, 600)


def test_the_page_tells_what_the_last_runs_did(admin, make_webhook):
    made = chain({"channels": [make_webhook(name="hook").pk]})
    pass_time(begin(thread(title="shop is down"), made))
    page = admin.get(f"{CHAINS}{made.pk}/change/")
    assert "shop is down" in page.text
    assert "Step 1: told hook." in page.text
    assert "Duty" in admin.get(CHAINS).text


def test_readers_see_the_steps_and_no_form(make_user, console, make_webhook):
    made = chain({"channels": [make_webhook(name="hook").pk]})
    page = console(person(make_user, "max", role="manager")).get(f"{CHAINS}{made.pk}/change/")
    assert "tell hook" in page.text
    assert "rows-TOTAL_FORMS" not in page.text


def test_a_week_is_added_with_days_together(admin, make_user):
    ada = person(make_user, "ada")
    slot = {"days": ["0", "1"], "starts": "20:00", "ends": "08:00", "user": str(ada.pk)}
    data = {"name": "Night", "time_zone": "Europe/Vienna", **rows(slot, {})}
    assert admin.post(f"{SCHEDULES}add/", data).status_code == 302
    schedule = OnCallSchedule.objects.get()
    slots = OnCallSlot.objects.filter(schedule=schedule).values_list("weekday", "starts", "ends")
    assert list(slots) == [(0, time(20), time(8)), (1, time(20), time(8))]
    page = admin.get(f"{SCHEDULES}{schedule.pk}/change/?week=2026-11-18")
    assert "Week of 16 Nov 2026" in page.text
    assert "20:00 to 24:00 ada" in page.text
    assert "08:00 to 24:00 nobody" in page.text
    for nonsense in ("0001-01-01", "9999-12-31", "x"):
        assert admin.get(f"{SCHEDULES}{schedule.pk}/change/?week={nonsense}").status_code == 200


def test_a_half_filled_slot_is_told_beside_it(admin):
    data = {"name": "Night", "time_zone": "Mars/Olympus", **rows({"starts": "20:00"})}
    page = admin.post(f"{SCHEDULES}add/", data)
    assert page.status_code == 200
    assert "Name a time zone such as Europe/Vienna, or UTC." in page.text
    assert "This field is required." in page.text
    assert not OnCallSchedule.objects.exists()


@pytest.fixture
def schedule(db):
    return oncall.create(actor=SYSTEM, name="Duty", slots=[], time_zone="Europe/Vienna")


def test_an_operator_stands_in_and_puts_nobody_else_there(make_user, console, schedule):
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    client = console(ada)
    start = timezone.now().replace(microsecond=0) + timedelta(days=1)
    path = f"{SCHEDULES}{schedule.pk}/stand-in/"
    given = {
        "starts_at": f"{start:%Y-%m-%dT%H:%M:%S}",
        "ends_at": f"{start + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}",
        "reason": "Holiday",
    }
    refused = client.post(path, {**given, "user": str(bob.pk)})
    assert refused.status_code == 200
    assert not OnCallOverride.objects.exists()
    assert client.post(path, {**given, "user": str(ada.pk)}).status_code == 302
    override = OnCallOverride.objects.get()
    assert (override.user, override.author, override.reason) == (ada, "ada", "Holiday")
    assert override.ends_at - override.starts_at == timedelta(hours=2)


def test_ending_a_stand_in_asks_first(admin, make_user, schedule):
    ada = person(make_user, "ada")
    now = timezone.now()
    override = oncall.stand_in(
        actor=SYSTEM,
        schedule_id=schedule.pk,
        user_id=ada.pk,
        starts_at=now + timedelta(hours=1),
        ends_at=now + timedelta(hours=2),
    )
    path = f"{SCHEDULES}{schedule.pk}/overrides/{override.pk}/end/"
    assert "End that ada stands in?" in admin.get(path).text
    assert OnCallOverride.objects.exists()
    assert admin.post(path).status_code == 302
    assert not OnCallOverride.objects.exists()
    assert admin.post(path).status_code == 404


def test_readers_may_not_stand_in(make_user, console, schedule):
    client = console(person(make_user, "max", role="manager"))
    assert client.get(f"{SCHEDULES}{schedule.pk}/change/").status_code == 200
    assert client.post(f"{SCHEDULES}{schedule.pk}/stand-in/").status_code == 403
    assert not OnCallOverride.objects.exists()


def test_what_is_in_use_is_not_deleted(admin, schedule):
    chain({"schedules": [schedule.pk]}, name="Night")
    admin.post(f"{SCHEDULES}{schedule.pk}/delete/", {"post": "yes"})
    assert OnCallSchedule.objects.filter(pk=schedule.pk).exists()
