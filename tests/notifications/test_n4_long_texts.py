"""Long titles and bodies: cut in lists, folded on pages, and never lost."""

import pytest

from notifications.models import Event, Notification
from tests.notifications.conftest import raise_alert, route_all
from tests.notifications.threads import make_route

pytestmark = pytest.mark.django_db

TITLE = "disk " * 50


@pytest.fixture
def client(console, make_user, make_webhook):
    make_route(make_webhook(), group_by=["alert"])
    raise_alert(title=TITLE.strip(), body="line\n" * 500)
    raise_alert(dedup_key="short", title="shop is slow", body="Slow.")
    route_all()
    return console(make_user(role="operator"))


@pytest.mark.parametrize("page", ["notification", "event"])
def test_a_long_title_takes_two_lines_of_a_list(client, page):
    shown = client.get(f"/admin/notifications/{page}/").content.decode()

    assert f'<span class="two-lines">{TITLE.strip()}</span>' in shown


@pytest.mark.parametrize("model", [Notification, Event])
def test_a_long_body_scrolls_in_a_region_of_its_own(client, model):
    name = model._meta.model_name
    rows = {row.title: row.pk for row in model.objects.all()}

    def shown(title):
        return client.get(f"/admin/notifications/{name}/{rows[title]}/change/").content.decode()

    region = '<div class="letter-body long" tabindex="0" role="region" aria-label="Its text">'
    (long,) = [title for title in rows if "disk" in title]
    (short,) = [title for title in rows if "slow" in title]
    assert region in shown(long)
    assert '<div class="letter-body">' in shown(short)
