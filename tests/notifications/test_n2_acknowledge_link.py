"""The link in a message: it shows on GET, acts on POST, and is worth what its person may do."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actors import actor_for
from accounts.services import networks
from audit.models import AuditRecord
from audit.services.acts import unwatched
from notifications.models import Channel, Group
from notifications.services import links, outgoing
from tests.notifications.escalations import member, people_mail, person, thread

pytestmark = pytest.mark.django_db


def path_of(group, user, since=None):
    message = message_to(group, user)
    url = links.acknowledge_url(group.key, user.pk, message.pk, since or message.created_at)
    return "/ack/" + url.rpartition("/ack/")[2]


def message_to(group, user):
    channel = Channel.objects.filter(is_for_people=True).first() or people_mail()
    return outgoing.enqueue(
        group, targets=[outgoing.Target(channel, user.email, user.pk)], reason="first"
    )[0]


def test_get_shows_the_alert_and_changes_nothing(make_user, client):
    ada = person(make_user, "ada")
    group = thread(title="shop is down")
    page = client.get(path_of(group, ada))
    assert page.status_code == 200
    assert "shop is down" in page.text
    assert '<input type="submit" class="default wide" value="Acknowledge">' in page.text
    group.refresh_from_db()
    assert group.acked_at is None


def test_post_acknowledges_as_the_person_without_a_session(make_user, client):
    ada = person(make_user, "ada")
    group = thread()
    page = client.post(path_of(group, ada))
    assert page.status_code == 200
    assert "Thank you, ada. Nobody else is called." in page.text
    group.refresh_from_db()
    assert group.acked_by == ada
    again = client.post(path_of(group, ada))
    assert "You take care of it." in again.text


def test_post_needs_the_token_of_the_form(make_user):
    ada = person(make_user, "ada")
    group = thread()
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(path_of(group, ada)).status_code == 403
    group.refresh_from_db()
    assert group.acked_at is None
    page = strict.get(path_of(group, ada))
    token = page.context["csrf_token"]
    answer = strict.post(path_of(group, ada), {"csrfmiddlewaretoken": str(token)})
    assert answer.status_code == 200
    group.refresh_from_db()
    assert group.acked_by == ada


@pytest.mark.parametrize(
    ("spoil", "status", "words"),
    [
        (lambda path: path[:-3] + ("AAA" if path[-3:] != "AAA" else "BBB"), 404, "does not work"),
        (lambda _path: "/ack/", 404, "does not work"),
        (lambda _path: "/ack/%ff%20x", 404, "does not work"),
        (lambda _path: f"/ack/{'A' * 400}", 404, "does not work"),
    ],
)
def test_a_link_that_we_have_not_made_does_nothing(make_user, client, spoil, status, words):
    ada = person(make_user, "ada")
    group = thread(title="secret thing")
    path = spoil(path_of(group, ada).rstrip("/"))
    for ask in (client.get, client.post):
        page = ask(path)
        assert (page.status_code, words in page.text) == (status, True)
        assert "secret thing" not in page.text
    group.refresh_from_db()
    assert group.acked_at is None


def test_a_link_works_for_a_day(make_user, client):
    ada = person(make_user, "ada")
    group = thread()
    old = path_of(group, ada, timezone.now() - timedelta(hours=24, seconds=1))
    page = client.post(old)
    assert (page.status_code, "This link has run out" in page.text) == (410, True)
    group.refresh_from_db()
    assert group.acked_at is None


def test_rights_are_judged_at_that_moment(make_user, client):
    ada = person(make_user, "ada")
    group = thread(title="secret thing")
    path = path_of(group, ada)
    ada.groups.clear()
    page = client.post(path)
    assert (page.status_code, "secret thing" in page.text) == (403, False)
    ada.refresh_from_db()
    group.refresh_from_db()
    assert group.acked_at is None


def test_somebody_else_who_is_signed_in_does_not_act_as_the_person(make_user, console):
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    group = thread()
    page = console(bob).post(path_of(group, ada))
    assert (page.status_code, "was sent to ada" in page.text) == (403, True)
    group.refresh_from_db()
    assert group.acked_at is None


def test_what_is_over_offers_no_button(make_user, client):
    ada = person(make_user, "ada")
    group = thread()
    Group.objects.update(closed_at=timezone.now())
    page = client.get(path_of(group, ada))
    assert (page.status_code, "It is over" in page.text) == (200, True)
    assert "Acknowledge</" not in page.text
    assert 'value="Acknowledge"' not in page.text


def test_a_thread_that_is_gone_is_told(make_user, client):
    ada = person(make_user, "ada")
    url = links.acknowledge_url(uuid4(), ada.pk, 1, timezone.now())
    assert client.get("/ack/" + url.rpartition("/ack/")[2]).status_code == 410


def test_logs_never_show_the_link(make_user, client, caplog):
    from core.masking import mask

    ada = person(make_user, "ada")
    path = path_of(thread(), ada)
    token = path.split("/")[2]
    assert token not in mask(f"GET {path} 200")
    with caplog.at_level("INFO"):
        client.get(path)
    assert token not in caplog.text


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE"])
def test_other_methods_never_lead_the_token_to_the_sign_in_page(make_user, client, method):
    ada = person(make_user, "ada")
    group = thread()
    answer = client.generic(method, path_of(group, ada))
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, POST"
    assert "Location" not in answer
    group.refresh_from_db()
    assert group.acked_at is None


def test_it_covers_only_what_its_message_could_tell_of(make_user, client):
    ada = person(make_user, "ada")
    group = thread()
    path = path_of(group, ada)
    member(group, "check:later")
    for ask in (client.get, client.post):
        page = ask(path)
        assert page.status_code == 409
        assert "Other alerts have joined it since this message was sent." in page.text
        assert 'value="Acknowledge"' not in page.text
    group.refresh_from_db()
    assert group.acked_at is None
    assert client.post(path_of(group, ada)).status_code == 200


def test_a_link_of_a_message_to_somebody_else_does_nothing(make_user, client):
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    group = thread()
    message = message_to(group, bob)
    url = links.acknowledge_url(group.key, ada.pk, message.pk, message.created_at)
    assert client.post("/ack/" + url.rpartition("/ack/")[2]).status_code == 410
    group.refresh_from_db()
    assert group.acked_at is None


def test_the_log_tells_that_a_link_was_used_and_of_which_message(make_user, client):
    ada = person(make_user, "ada")
    group = thread()
    client.post(path_of(group, ada))
    record = AuditRecord.objects.get(action="alert.acknowledged")
    message = group.notifications.get(reason="first")
    told = json.loads(record.payload)
    assert (record.actor_name, told["via"], told["message"]) == ("ada", "link", message.pk)


def test_who_must_change_the_password_first_cannot_act_by_a_link(make_user, client):
    ada = person(make_user, "ada")
    group = thread(title="secret thing")
    path = path_of(group, ada)
    with unwatched("set-up of a test"):
        ada.must_change_password = True
        ada.save()
    page = client.post(path)
    assert (page.status_code, "secret thing" in page.text) == (403, False)
    assert "Choose one of your own." in page.text
    group.refresh_from_db()
    assert group.acked_at is None


def test_a_link_works_only_from_where_the_person_may_come_in(make_user, client):
    ada = person(make_user, "ada")
    group = thread()
    path = path_of(group, ada)
    networks.set_console_networks(actor=actor_for(ada), networks=["192.0.2.0/24"])
    page = client.post(path)
    assert page.status_code == 403
    assert "not on the list of allowed networks" in page.text
    group.refresh_from_db()
    assert group.acked_at is None
