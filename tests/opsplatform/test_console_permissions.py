"""A person with one right sees what it opens, and is led nowhere that is closed."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission

from core.actors import Actor
from notifications.models import Channel
from opsplatform.console import attention
from reliability.models import Check, CheckState, Incident, IncidentEvent, Service, StateSegment
from reliability.models import UptimeTest as Run
from reliability.services import catalogue

pytestmark = pytest.mark.django_db

OPERATOR = Actor.command("test")
LINK = re.compile(r'(?:href|data-src)="(/(?:admin|api)/[^"#]*)"')
# What a page may only say to those who may view it.
SECRETS = {
    "reliability.view_statesegment": ('class="history', "100 %", 'class="spans"'),
    "reliability.view_sample": ("data-chart", "Latency, p95", "Last results"),
    "reliability.view_incident": ("Shop is down", "Open incidents"),
    "reliability.view_incidentevent": ("Timeline", "Somebody looked"),
    "reliability.view_uptimetest": ("Uptime test", "1 of 2 good"),
    "reliability.view_check": ("The entrance", "4,321"),
    "notifications.view_channel": ("Pager",),
}
PAGES = {
    "service": "reliability.view_service",
    "check": "reliability.view_check",
    "incident": "reliability.view_incident",
    "uptimetest": "reliability.view_uptimetest",
}


@pytest.fixture(autouse=True)
def _ready(monkeypatch):
    """Leave out the processes of a platform, which do not run here."""
    monkeypatch.setattr(attention, "health", list)


@pytest.fixture
def pages():
    """Make something of each kind, and return the paths of their pages."""
    now = datetime.now(UTC)
    service, other = (
        catalogue.create_service(actor=OPERATOR, name=name) for name in ("Shop", "Till")
    )
    for one in (service, other):
        check = catalogue.create_check(
            actor=OPERATOR,
            service_id=one.pk,
            url="http://127.0.0.1:9/",
            name="The entrance",
            degraded_ms=4321,
        )
    began = now - timedelta(hours=1)
    Check.objects.update(created_at=began)
    StateSegment.objects.update(standing="up", started_at=began)
    CheckState.objects.update(state="down", since=now, last_at=now, last_code=503)
    incident = Incident.objects.create(
        service=other,
        check_of=check,
        service_name="Shop",
        title="Shop is down",
        dedup_key="x",
        started_at=now,
    )
    IncidentEvent.objects.create(
        incident=incident, kind="note", actor_name="Ada", text="Somebody looked."
    )
    phases = dict.fromkeys(("dns_ms", "connect_ms", "tls_ms", "first_byte_ms"), 1.0)
    results = [
        {
            "check": check.pk,
            "service": "Shop",
            "name": "start",
            "ok": ok,
            "status_code": 200,
            "detail": "",
            "latency_ms": 1.0,
            "phases": phases,
        }
        for ok in (True, False)
    ]
    run = Run.objects.create(state="done", finished_at=now, **Run.told(results))
    Channel.objects.create(kind="webhook", name="Pager", target="x", config={}, last_error="no")
    base = "/admin/reliability"
    return {
        "service": f"{base}/service/{other.pk}/",
        "check": f"{base}/check/{check.pk}/",
        "incident": f"{base}/incident/{incident.pk}/change/",
        "uptimetest": f"{base}/uptimetest/{run.pk}/change/",
    }


@pytest.fixture
def sign_in(console, make_user):
    """Return a function that signs in a member of a group with these permissions alone."""

    def enter(*permissions):
        group = Group.objects.create(name="own")
        for permission in permissions:
            app, _, codename = permission.partition(".")
            group.permissions.add(
                Permission.objects.get(content_type__app_label=app, codename=codename)
            )
        user = make_user(is_staff=True)
        user.groups.add(group)
        return console(user)

    return enter


def said(page):
    """Return what stands in the page, without the frame around."""
    return page.partition("<main")[2].partition("</main>")[0]


@pytest.mark.parametrize("permission", sorted({*SECRETS, *PAGES.values()}))
def test_home_shows_what_one_right_opens_and_nothing_else(sign_in, pages, permission):
    client = sign_in(permission)

    page = said(client.get("/admin/").content.decode())

    hidden = {words for right, told in SECRETS.items() if right != permission for words in told}
    assert [words for words in sorted(hidden) if words in page] == []
    alone = {"reliability.view_statesegment", "reliability.view_incidentevent"}
    assert ("Nothing of this platform" in page) == (permission in alone)
    for path in set(LINK.findall(page)):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("other", sorted(SECRETS))
@pytest.mark.parametrize("noun", sorted(PAGES))
def test_a_page_shows_its_own_and_what_one_more_right_opens(sign_in, pages, noun, other):
    client = sign_in(PAGES[noun], other)

    page = said(client.get(pages[noun]).content.decode())

    allowed = {PAGES[noun], other}
    hidden = {words for right, told in SECRETS.items() if right not in allowed for words in told}
    if noun in {"check", "incident"}:
        # The name of the check stands in both; what it is set to does not.
        hidden -= {"The entrance"}
    assert [words for words in sorted(hidden) if words in page] == []
    for path in set(LINK.findall(page)):
        assert client.get(path).status_code == 200, path


def test_all_of_it_stands_there_for_who_may_see_everything(sign_in, pages):
    client = sign_in(*SECRETS, *PAGES.values())

    told = "".join(said(client.get(path).content.decode()) for path in ("/admin/", *pages.values()))

    assert [words for told_by in SECRETS.values() for words in told_by if words not in told] == []


def test_histories_stand_beside_services_for_who_may_see_them(sign_in, pages):
    rights = ("reliability.view_service", "reliability.view_statesegment")
    page = said(sign_in(*rights).get("/admin/").content.decode())

    assert page.count('<span class="numeric">100 %</span>') == Service.objects.count()
    assert 'class="history' in page


@pytest.mark.parametrize(
    "permission",
    ["reliability.run_uptimetest", "notifications.add_channel", "reliability.add_service"],
)
def test_what_is_offered_can_be_opened(sign_in, pages, permission):
    client = sign_in(permission)

    page = said(client.get("/admin/").content.decode())
    found = client.get("/admin/palette", {"q": ""}).json()["results"]

    offered = {result["url"] for result in found if result["url"]}
    for path in {*LINK.findall(page), *offered}:
        assert client.get(path).status_code == 200, path
