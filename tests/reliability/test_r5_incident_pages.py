import re
from datetime import timedelta

import pytest
from django.utils import timezone

from reliability.engine.post_mortem import begun
from reliability.models import Alert, Incident
from reliability.services import changes, incidents

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(make_service, make_check, see, operator):
    check = make_check(service=make_service("Shop"))
    changes.tell(
        actor=operator,
        service_id=check.service_id,
        kind="deploy",
        title="<b>Release</b>",
        at=timezone.now() - timedelta(minutes=5),
    )
    see(check, True, False, False, start=timezone.now())
    return Incident.objects.get()


@pytest.fixture
def base(incident):
    return f"/admin/reliability/incident/{incident.pk}/"


@pytest.fixture
def desk(console, make_user):
    return console(make_user(role="operator"))


def buttons(page):
    acts = page.split('<div class="acts">')[1].split("</div>")[0]
    return re.findall(r">(?:<[^>]+>)*([^<>\n]+)</(?:button|a)>", acts)


def test_the_page_shows_alerts_and_what_changed(desk, base):
    page = desk.get(f"{base}change/").content.decode()

    assert "Shop is down" in page
    assert "/admin/reliability/alert/" in page
    assert "Deploy: &lt;b&gt;Release&lt;/b&gt;" in page
    assert "<b>Release" not in page


def test_the_buttons_are_those_of_the_state(desk, base, operator, incident, see):
    def offered():
        return buttons(desk.get(f"{base}change/").content.decode())

    assert offered() == ["Acknowledge", "Mitigate", "Resolve", "Change"]
    desk.post(f"{base}acknowledge/")
    assert offered() == ["Mitigate", "Resolve", "Change"]
    desk.post(f"{base}mitigate/", {"text": "Rolled back."})
    assert offered() == ["Resolve", "Change"]
    see(incident.check_of, True, True, start=timezone.now() + timedelta(minutes=2))
    assert offered() == ["Open again", "Close", "Change"]
    desk.post(f"{base}close/")
    assert offered() == ["Change"]


def test_what_has_not_happened_takes_no_room(desk, base, incident, see):
    def told():
        return re.findall(r"<dt>([^<]+)</dt>", desk.get(f"{base}change/").content.decode())

    always = ["Service", "First check", "Severity", "Owner", "Began", "Noticed"]
    assert told() == [*always, "For", "Found", "Status page"]
    desk.post(f"{base}acknowledge/")
    assert told() == [*always, "Acknowledged", "Holds until", "For", "Found", "Status page"]
    see(incident.check_of, True, True, start=timezone.now() + timedelta(minutes=2))
    desk.post(f"{base}reopen/", {"reason": "Not over."})
    assert "Opened again" in told()
    assert "Closed" not in told()


@pytest.mark.parametrize("step", ["mitigate", "resolve", "reopen"])
def test_a_step_asks_first(desk, base, incident, step):
    page = desk.get(f"{base}{step}/").content.decode()

    assert "for the timeline" in page
    incident.refresh_from_db()
    assert incident.state == "triggered"


@pytest.mark.parametrize("step", ["acknowledge", "close", "note", "publish"])
def test_a_step_without_a_page_is_no_address_to_visit(desk, base, incident, step):
    assert desk.get(f"{base}{step}/").status_code == 405
    incident.refresh_from_db()
    assert incident.state == "triggered"


def test_a_refused_step_says_why(desk, base):
    page = desk.post(f"{base}close/", follow=True).content.decode()

    assert "An alert of the incident still holds" in page


def test_owner_severity_and_visibility_are_changed(desk, base, incident, make_user):
    person = make_user()

    desk.post(f"{base}edit/", {"severity": "warning", "owner": person.username})

    incident.refresh_from_db()
    assert (incident.severity, incident.owner, incident.is_public) == ("warning", person, False)


def test_what_was_typed_is_not_lost_with_a_mistake(desk, base, incident):
    body = {"severity": "warning", "owner": "nobody-of-this-name", "is_public": "on"}

    page = desk.post(f"{base}edit/", body).content.decode()

    assert "There is no active account of this name." in page
    assert 'value="nobody-of-this-name"' in page
    incident.refresh_from_db()
    assert incident.severity == "critical"


def test_a_post_mortem_begins_with_the_facts_and_is_kept(desk, base, incident):
    form = desk.get(f"{base}post-mortem/").content.decode()
    assert "# Shop is down" in form
    assert "## What changes now" in form
    assert "Deploy: &lt;b&gt;Release&lt;/b&gt;" in form

    desk.post(f"{base}post-mortem/", {"post_mortem": "<script>x</script>\n\nLearned."})

    page = desk.get(f"{base}change/").content.decode()
    assert "<p>&lt;script&gt;x&lt;/script&gt;</p>" in page
    assert "<p>Learned.</p>" in page


def test_a_post_mortem_that_is_too_long_is_shown_again(desk, base, incident):
    page = desk.post(f"{base}post-mortem/", {"post_mortem": "y" * 40_001}).content.decode()

    assert "Write at most 40000 printable characters." in page
    assert "y" * 40_001 in page
    incident.refresh_from_db()
    assert incident.post_mortem == ""


@pytest.mark.parametrize("step", ["edit", "post-mortem", "mitigate", "reopen", "close", "publish"])
def test_who_may_not_change_it_is_refused(console, make_user, base, incident, step):
    reader = console(make_user(role="engineer"))
    before = list(Incident.objects.values())

    assert reader.post(f"{base}{step}/", {"text": "x", "reason": "x"}).status_code == 403

    assert list(Incident.objects.values()) == before


def test_the_list_of_alerts_says_why_nobody_was_told(desk, incident):
    Alert.objects.update(suppressed_by="parent: Router is down")
    alert = Alert.objects.get()

    assert "parent: Router is down" in desk.get("/admin/reliability/alert/").content.decode()
    page = desk.get(f"/admin/reliability/alert/{alert.pk}/change/").content.decode()
    assert "check_down: A check is down" in page
    assert f"/admin/reliability/incident/{incident.pk}/change/" in page


def test_a_closed_incident_is_not_open(desk, incident, operator, see):
    from reliability.selectors import incidents as selector
    from reliability.selectors import overview

    see(incident.check_of, True, True, start=timezone.now() + timedelta(minutes=2))
    incidents.close(actor=operator, incident_id=incident.pk)

    assert (selector.open_incidents().count(), overview.open_count()) == (0, 0)


def test_a_post_mortem_has_its_lines_in_one_line_each():
    at = timezone.now().replace(microsecond=0)

    text = begun(
        title="Shop is down",
        service="Shop",
        severity="Critical",
        started_at=at,
        resolved_at=None,
        lines=[(at, "Note by Ada.\nTwo\n\nlines")],
    )

    assert text.splitlines()[5] == "Ended: not yet"
    assert text.splitlines()[-1] == f"- {at:%Y-%m-%d %H:%M:%S} UTC Note by Ada. Two lines"
