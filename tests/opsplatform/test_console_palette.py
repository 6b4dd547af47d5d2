"""The palette finds what a person may see, the likeliest first, and bears any text."""

import pytest
from django.conf import settings
from django.urls import reverse

from core.actors import Actor
from notifications.models import Channel
from opsplatform.console.palette import PER_KIND
from reliability.services import catalogue

pytestmark = pytest.mark.django_db

OWN = ["Your account", "Your second factors", "Your sessions", "Your API keys", "Change password"]
ACTOR = Actor.command("test")


@pytest.fixture
def find(console, make_user):
    def ask(query, role="admin"):
        answer = console(make_user(role=role)).get(reverse("admin:palette"), {"q": query})
        assert answer.status_code == 200
        return answer.json()["results"]

    return ask


def make_service(name):
    return catalogue.create_service(actor=ACTOR, name=name)


def titles(results, kind=""):
    return [result["title"] for result in results if kind in ("", result["kind"])]


def test_a_beginning_comes_before_a_word_and_a_word_before_a_part(find):
    for name in ("The repayments", "Old Payments", "Payments"):
        make_service(name)
    assert titles(find("PAY"), "Service") == ["Payments", "Old Payments", "The repayments"]


def test_a_result_leads_to_its_page(find):
    service = make_service("Shop")
    assert find("shop") == [
        {
            "kind": "Service",
            "title": "Shop",
            "detail": "production",
            "url": f"/admin/reliability/service/{service.pk}/",
        }
    ]


def test_each_kind_is_limited_and_keeps_its_best(find):
    for number in range(PER_KIND + 3):
        make_service(f"A shop {number}")
    make_service("Shop")
    assert titles(find("shop"), "Service")[0] == "Shop"
    assert len(titles(find("shop"), "Service")) == PER_KIND


def test_kinds_without_permission_are_not_found(find):
    make_service("Shop")
    Channel.objects.create(name="Shop talk", kind="email", target="")
    assert titles(find("shop")) == ["Shop", "Shop talk"]
    assert titles(find("shop", "operator")) == ["Shop"]
    assert titles(find("shop", "analyst")) == []


def test_people_are_found_by_those_who_may_see_them(find, make_user):
    make_user(username="grace")
    assert titles(find("grace", "auditor")) == ["grace"]
    assert titles(find("grace", "manager")) == []


def test_commands_follow_permissions(find):
    assert titles(find("", "admin"), "Command") == [
        "Add a service",
        "Add a check",
        "Run an uptime test",
        "Add a channel",
        "Silence alerts",
        "Add a route",
        "What would happen to an alert",
        "Dead letters",
        "Add a user",
        "Acknowledge a thread",
        *OWN,
        "Switch theme",
        "Sign out",
    ]
    assert titles(find("", "manager"), "Command") == [
        "What would happen to an alert",
        "Dead letters",
        *OWN,
        "Switch theme",
        "Sign out",
    ]


def test_a_command_changes_nothing_by_itself(find, client):
    for result in find("", "admin"):
        assert bool(result["url"]) != bool(result.get("act"))
        if result["kind"] == "Command" and result["url"]:
            assert client.get(result["url"]).status_code == 200


def test_nothing_asked_for_lists_pages_and_commands_only(find):
    make_service("Shop")
    assert {result["kind"] for result in find("")} == {"Page", "Command"}


@pytest.mark.parametrize(
    "query",
    [
        "%",
        "_",
        "' OR 1=1 --",
        '"><script>alert(1)</script>',
        "\\",
        "é\u0301\u202e",
        "x" * 5000,
    ],
)
def test_hostile_text_finds_nothing_and_breaks_nothing(find, query):
    make_service("Shop")
    assert find(query) == []


def test_a_stranger_is_sent_to_sign_in(client):
    answer = client.get(reverse("admin:palette"), {"q": "a"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_who_has_a_one_time_password_finds_nothing(console, make_user):
    client = console(make_user(role="admin", must_change_password=True))
    answer = client.get(reverse("admin:palette"))
    assert answer["Location"] == reverse("account-password")


def test_answers_are_kept_by_no_cache(console, make_user):
    answer = console(make_user(role="admin")).get(reverse("admin:palette"))
    assert "no-store" in answer["Cache-Control"]


def test_an_answer_counts_no_badges(find, django_assert_num_queries, console, make_user):
    client = console(make_user(role="admin"))
    client.get(reverse("admin:palette"), {"q": "a"})  # rights and lists are remembered from then on
    # The person and the eight kinds of objects; the session too where Redis holds no copy of it.
    with django_assert_num_queries(9 if settings.REDIS_URL else 10):
        client.get(reverse("admin:palette"), {"q": "a"})


def test_a_command_leads_to_the_form_that_does_it(find, client):
    (command,) = [found for found in find("run an uptime") if found["kind"] == "Command"]
    page = client.get(command["url"]).content.decode()
    assert f'<form method="post" action="{command["url"]}">' in page


def test_ones_own_account_is_found_by_everybody(find):
    for role in ("admin", "analyst"):
        found = [
            (result["title"], result["url"])
            for result in find("your", role)
            if result["kind"] == "Command"
        ]
        assert found == [
            ("Your account", "/account/"),
            ("Your second factors", "/account/mfa/"),
            ("Your sessions", "/account/sessions/"),
            ("Your API keys", "/account/keys/"),
        ]
