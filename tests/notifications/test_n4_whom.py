"""Who was told: the person by name, in the order in which it happened."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import strip_tags

from core.actors import SYSTEM
from notifications.models import EscalationRun, Group, Notification
from notifications.selectors.people import targets_of
from notifications.services import acknowledgements, oncall, outgoing
from tests.notifications.escalations import begin, chain, pass_time, people_mail, person, thread

pytestmark = pytest.mark.django_db

QUEUE = "/admin/notifications/notification/"


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def words(answer) -> str:
    """Return the text of a page, each space once."""
    main = answer.content.decode().split('id="content"')[1]
    return re.sub(r"\s+", " ", strip_tags(main.replace("<", " <")))


def page_of(group: Group) -> str:
    return f"/admin/notifications/group/{group.pk}/change/"


def test_a_person_is_named_wherever_a_message_is_shown(as_role, make_user):
    people_mail()
    jonas = person(make_user, "jonas")
    group = thread()
    pass_time(begin(group, chain({"people": [jonas.pk]})))
    message = Notification.objects.get()
    client = as_role("operator")
    event = group.members.get().event_id

    for page in (
        QUEUE,
        f"{QUEUE}{message.pk}/change/",
        page_of(group),
        f"/admin/notifications/event/{event}/change/",
    ):
        assert "jonas, by E-mail to people j…@example.com" in words(client.get(page)), page


def test_an_escalation_tells_whom_each_step_told(as_role, make_user, make_webhook):
    people_mail()
    jonas, hook = person(make_user, "jonas"), make_webhook(name="hook")
    night = oncall.create(actor=SYSTEM, name="Night", slots=[])
    group = thread()
    run = begin(
        group,
        chain(
            {"people": [jonas.pk], "schedules": [night.pk]},
            {"channels": [hook.pk], "wait_seconds": 60},
        ),
    )
    run = pass_time(pass_time(run))

    assert [entry["names"] for entry in run.log] == [["jonas"], ["hook"]]
    page = words(as_role("operator").get(page_of(group)))
    assert "It told jonas. Nobody is on call in Night." in page
    assert "It told hook." in page
    assert "It reached 1" not in page


def test_entries_without_names_still_tell_how_many(as_role, make_webhook):
    group = thread()
    run = begin(group, chain({"channels": [make_webhook().pk]}))
    old = {"at": timezone.now().isoformat(), "step": 1, "told": 2, "why": ""}
    EscalationRun.objects.filter(pk=run.pk).update(log=[old])

    assert "It reached 2." in words(as_role("operator").get(page_of(group)))


def test_steps_of_one_moment_stand_newest_first(as_role, make_webhook):
    night = oncall.create(actor=SYSTEM, name="Night", slots=[])
    group = thread()
    run = begin(group, chain({"schedules": [night.pk]}, {"channels": [make_webhook().pk]}))
    pass_time(run)

    page = words(as_role("operator").get(page_of(group)))

    assert page.index("step 2") < page.index("step 1") < page.index("Escalation Duty began")


def test_the_last_message_is_also_one_of_an_escalation(as_role, make_user):
    people_mail()
    ada = person(make_user, "ada")
    group = thread(last_sent_at=timezone.now() - timedelta(days=400))
    old = f"{group.last_sent_at:%b %Y}"
    client = as_role("operator")
    assert old in re.sub(".*Last message", "", words(client.get(page_of(group))))

    outgoing.enqueue(group, targets=targets_of([ada.pk], "critical"), reason="escalation")

    assert old not in words(client.get(page_of(group)))
    assert old not in words(client.get("/admin/notifications/group/"))
    acknowledgements.acknowledge(actor=SYSTEM, group_id=group.pk)
    # A note that nobody was told is no message.
    Notification.objects.all().delete()
    outgoing.note_unsent(group, reason="escalation", why="Nobody is on call.")
    assert old in words(client.get("/admin/notifications/group/"))
