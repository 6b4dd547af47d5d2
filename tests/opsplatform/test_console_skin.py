"""The frame of every page: theme, environment, live news, forms and questions without a script."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django_celery_beat.models import ClockedSchedule

from core.actors import Actor
from notifications.models import Channel
from opsplatform.errors import failed
from reliability.services import catalogue

pytestmark = pytest.mark.django_db

SERVICES = "admin:reliability_service_changelist"
ACTOR = Actor.command("test")


@pytest.fixture
def page(console, make_user):
    """Return a function that reads a page of the console as an admin."""

    def read(name=SERVICES, role="admin", **query):
        return console(make_user(role=role)).get(reverse(name), query).content.decode()

    return read


@pytest.mark.parametrize(
    ("cookie", "scheme"),
    [
        (None, "light dark"),
        ("dark", "dark"),
        ("light", "light"),
        ("light-dark", "light dark"),
        ('"><script>', "light dark"),
    ],
)
def test_the_chosen_theme_is_in_the_page_itself(client, cookie, scheme):
    if cookie:
        client.cookies["theme"] = cookie
    login = client.get(reverse("admin:login")).content.decode()
    assert f'<meta name="color-scheme" content="{scheme}">' in login


def test_the_environment_is_named(page, settings):
    settings.OPS_ENVIRONMENT = "production"
    assert '<span class="environment environment-production">production</span>' in page()


def test_a_hostile_environment_stays_text(page, settings):
    settings.OPS_ENVIRONMENT = '"><b>x'
    assert '<span class="environment environment-bx">&quot;&gt;&lt;b&gt;x</span>' in page()


def test_live_news_are_named_only_where_they_are(page, client, settings):
    assert 'data-live-path="/ws/notifications"' in page()
    settings.WS_ENABLED = False
    assert "data-live-path" not in page()
    client.logout()
    assert "data-live-path" not in client.get(reverse("admin:login")).content.decode()


def test_a_one_time_password_hides_what_cannot_be_opened(console, make_user):
    client = console(make_user(role="admin", must_change_password=True))
    shown = client.get(reverse("admin:password_change")).content.decode()
    assert "Choose one that only you know." in shown
    assert 'id="sidebar"' not in shown
    assert "data-live-path" not in shown
    assert 'id="logout-form"' in shown
    assert 'id="bell"' not in shown


def test_the_bell_is_for_everybody_since_messages_come_to_each_person(page):
    for shown in (page(), page("admin:password_change", role="analyst")):
        assert 'id="bell"' in shown
        assert 'class="all-alerts" href="/account/centre/"' in shown


def test_the_sidebar_and_filters_open_by_links_without_a_script(page):
    shown = page()
    assert 'href="#sidebar"' in shown
    assert '<nav id="sidebar"' in shown
    assert 'href="#changelist-filter"' in shown
    assert '<nav id="changelist-filter"' in shown


def test_a_list_is_named_as_in_the_sidebar(page):
    shown = page("admin:notifications_notification_changelist")
    assert "<title>Queue | OpsPlatform</title>" in shown
    assert re.search(r"<h1>Queue\s*</h1>", shown)


def test_an_empty_list_offers_the_one_thing_to_do(page):
    shown = page()
    assert "<strong>No service yet</strong>" in shown
    assert '<a class="button default" href="/admin/reliability/service/add/">' in shown


def test_a_filter_in_force_is_a_chip_that_takes_it_away(page):
    catalogue.create_service(actor=ACTOR, name="Shop")
    shown = page(environment__exact="production", q="Sho")
    chip = re.search(r'<a href="([^"]+)" class="chip">(.*?)</a>', shown, re.DOTALL)
    assert chip[1] == "?q=Sho"
    assert "Environment:</span> Production" in chip[2]


def test_a_list_in_which_nothing_matches_leads_back_to_all(page):
    catalogue.create_service(actor=ACTOR, name="Shop")
    shown = page(q="nothing like it")
    assert "<strong>Nothing matches</strong>" in shown
    assert '<a class="button" href="?">Show all</a>' in shown


def test_an_error_is_named_above_and_leads_to_its_field(console, make_user):
    client = console(make_user(role="admin"))
    shown = client.post(f"{reverse('admin:notifications_channel_add')}?kind=webhook", {})
    text = shown.content.decode()
    assert '<li><a href="#id_name">Name</a>: This field is required.</li>' in text
    assert 'id="id_name_error"' in text
    assert "<title>Error: " in text
    assert "Please correct" not in text


def test_a_name_that_is_taken_is_told_beside_the_name(console, make_user):
    catalogue.create_service(actor=ACTOR, name="Shop")
    rows = {f"checks-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
    fields = {"name": "sHOP ", "tier": "standard", "environment": "production"}
    client = console(make_user(role="admin"))
    text = client.post(reverse("admin:reliability_service_add"), fields | rows).content.decode()

    told = "A service with this name exists already."
    assert f'<li><a href="#id_name">Name</a>: {told}</li>' in text
    assert re.search(rf'id="id_name_error"><li>{re.escape(told)}</li>', text)
    assert text.count(told) == 2
    assert re.search(r'<div class="errornote mistakes" tabindex="-1" autofocus', text)
    # Django's script would take the focus to the first field.
    assert "change_form.js" not in text


def test_a_mistake_of_no_field_comes_first_in_the_summary(console, make_user):
    client = console(make_user(role="admin", is_superuser=True))
    address = reverse("admin:django_celery_beat_periodictask_add")
    text = client.post(address, {"name": "", "task": ""}).content.decode()
    summary = re.search(r'<div class="errornote mistakes".*?</div>', text, re.DOTALL)[0]
    first = re.search(r"<li>(.*?)</li>", summary, re.DOTALL)[1]
    assert not first.startswith("<a ")
    assert "errorlist nonfield" not in text


def test_a_moment_is_one_field_in_utc(console, make_user):
    client = console(make_user(role="admin", is_superuser=True))
    moment = ClockedSchedule.objects.create(clocked_time=datetime(2026, 7, 1, 12, tzinfo=UTC))
    address = reverse("admin:django_celery_beat_clockedschedule_change", args=[moment.pk])
    shown = client.get(address).content.decode()
    assert 'type="datetime-local"' in shown
    assert 'value="2026-07-01T12:00:00"' in shown
    assert "In UTC." in shown

    rows = {"periodictask_set-TOTAL_FORMS": 0, "periodictask_set-INITIAL_FORMS": 0}
    client.post(address, {"clocked_time": "2026-08-02T13:30", **rows})
    moment.refresh_from_db()
    assert moment.clocked_time == datetime(2026, 8, 2, 13, 30, tzinfo=UTC)


def test_deleting_asks_first_and_works_by_plain_posts(console, make_user):
    channel = Channel.objects.create(name="Mail", kind="email", target="")
    client = console(make_user(role="admin"))
    address = reverse("admin:notifications_channel_delete", args=[channel.pk])
    asked = client.get(address).content.decode()
    assert "<h1>Delete channel Mail?</h1>" in asked
    assert "data-cancel" in asked
    assert Channel.objects.count() == 1

    client.post(address, {"post": "yes"})
    assert Channel.objects.count() == 0


def test_what_asks_for_its_name_stays_until_it_is_typed(console, make_user, monkeypatch):
    monkeypatch.setattr("notifications.admin.channels.ChannelAdmin.asks_for_name", True)
    channel = Channel.objects.create(name="Mail", kind="email", target="")
    client = console(make_user(role="admin"))
    address = reverse("admin:notifications_channel_delete", args=[channel.pk])
    assert 'data-typed="Mail"' in client.get(address).content.decode()

    for typed in ({}, {"typed_name": "mail"}):
        refused = client.post(address, {"post": "yes", **typed}, follow=True).content.decode()
        assert "The name was not typed as it stands." in refused
        assert Channel.objects.count() == 1

    client.post(address, {"post": "yes", "typed_name": "Mail"})
    assert Channel.objects.count() == 0


def test_what_asks_for_its_name_is_not_deleted_with_others_at_once(console, make_user):
    shops = [catalogue.create_service(actor=ACTOR, name=name) for name in ("Shop", "Till")]
    client = console(make_user(role="admin"))
    address = reverse("admin:reliability_service_changelist")
    assert 'value="delete_selected"' not in client.get(address).content.decode()

    keys = [shop.pk for shop in shops]
    asked = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
    client.post(address, asked)

    assert type(shops[0]).objects.count() == 2


def test_messages_stand_in_the_page(console, make_user):
    client = console(make_user(role="admin"))
    data = {"action": "send_test", "index": "0"}
    shown = client.post(reverse("admin:notifications_channel_changelist"), data, follow=True)
    assert '<div id="toasts" role="status"' in shown.content.decode()


def test_the_components_are_shown_only_while_debugging(console, make_user, settings):
    client = console(make_user(role="analyst"))
    assert client.get(reverse("admin:components")).status_code == 404
    settings.DEBUG = True
    shown = client.get(reverse("admin:components")).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert re.findall(r"\sstyle=|\son[a-z]+=\"|<script>", shown) == []


def test_signing_out_says_so(client, make_user):
    client.force_login(make_user(role="admin"))
    shown = client.post(reverse("admin:logout")).content.decode()
    assert "<h1>Signed out</h1>" in shown
    assert 'id="sidebar"' not in shown


def test_a_missing_page_says_what_is_missing(console, make_user):
    answer = console(make_user(role="admin")).get("/admin/nothing/")
    assert answer.status_code == 404
    text = answer.content.decode()
    assert "<h1>404: Not Found</h1>" in text
    assert '<nav id="sidebar"' in text
    assert '<a class="button default" href="/admin/">To the dashboard</a>' in text


def test_a_refused_page_keeps_the_way_around(console, make_user):
    answer = console(make_user(role="manager")).get(reverse("admin:audit_auditrecord_changelist"))
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "<h1>403: Forbidden</h1>" in text
    assert '<nav id="sidebar"' in text


def test_a_stranger_sees_a_missing_page_without_the_console(client):
    text = client.get("/nothing/").content.decode()
    assert "<h1>404: Not Found</h1>" in text
    assert 'id="sidebar"' not in text


def test_a_failure_asks_nothing_more_of_the_database(make_user, rf, django_assert_num_queries):
    request = rf.get("/admin/")
    request.user = make_user(role="admin")
    with django_assert_num_queries(0):
        answer = failed(request)
    assert answer.status_code == 500
    assert '<a href="/admin/">To the dashboard</a>' in answer.content.decode()


def test_signing_in_tells_nothing_of_who_exists(client, make_user):
    make_user(username="grace", role="admin")
    make_user(username="homer", role="user")
    make_user(username="ivan", role="admin", is_active=False)
    address = reverse("admin:login")
    assert '<input type="submit" class="default" value="Sign in">' in client.get(
        address
    ).content.decode().replace("\n", "")

    right = "a good long password"
    told = set()
    for name, password in (
        ("grace", "wrong"),
        ("nobody", "wrong"),
        ("homer", "wrong"),
        ("ivan", right),
    ):
        page = client.post(address, {"username": name, "password": password}).content.decode()
        told.add(re.search(r'<div id="refused"[^>]*>(.*?)</div>', page, re.DOTALL)[1])
        assert page.count('aria-describedby="refused"') == 2
    refused = (
        "That did not work. Check the username and the password. "
        "In the password, upper and lower case differ."
    )
    assert told == {f"<p>{refused}</p>"}


def test_a_list_asks_to_choose_an_action(page):
    catalogue.create_service(actor=ACTOR, name="Shop")
    shown = page("admin:accounts_user_changelist")
    assert '<option value="" selected>Choose an action</option>' in shown
    assert "---------" not in shown


def _contrast(one, other):
    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        light = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]

    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_token_can_be_read_on_every_surface(theme):
    css = (Path(settings.BASE_DIR) / "static/css/console.css").read_text()
    tokens = {
        name: [c if len(c) == 7 else "#" + "".join(2 * digit for digit in c[1:]) for c in pair]
        for name, *pair in re.findall(r"--([a-z0-9-]+): light-dark\((#\w+), (#\w+)\)", css)
    }
    surfaces = [tokens[name][theme] for name in ("bg", "card", "sunken", "selected")]
    for name in ("text", "loud", "quiet", "link"):
        assert min(_contrast(tokens[name][theme], surface) for surface in surfaces) >= 5.2
    for name in ("control", "ring"):
        assert min(_contrast(tokens[name][theme], surface) for surface in surfaces) >= 3
    for name in ("ok", "warn", "bad", "info", "unknown"):
        assert _contrast(tokens[name][theme], tokens[f"{name}-soft"][theme]) >= 5.2


def test_what_a_page_loads_stays_small():
    import gzip

    root = Path(settings.BASE_DIR) / "static"

    def transferred(*names):
        return sum(len(gzip.compress((root / name).read_bytes(), 9)) for name in names)

    assert transferred("css/console.css") <= 10_000
    assert transferred("js/console.js", "js/palette.js") <= 8_000
