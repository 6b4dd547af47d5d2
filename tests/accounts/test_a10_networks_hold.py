"""Lists of networks over HTTP: the console, cookies, tokens and spoofed headers (A10)."""

import pytest
from django.contrib.auth.models import Group

from accounts.models import Installation, RolePolicy
from accounts.services import networks
from audit.models import AuditRecord
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db
OFFICE = "192.0.2.0/24"
INSIDE, OUTSIDE = "192.0.2.7", "198.51.100.7"


def limit_role(name):
    group = Group.objects.get(name=name)
    networks.set_role_policy(actor=SYSTEM, group_id=group.pk, mfa_required=False, networks=[OFFICE])


def limit_console():
    networks.set_console_networks(actor=SYSTEM, networks=[OFFICE])


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/admin/reliability/service/", "/account/"]
)
def test_the_console_is_closed_to_other_networks(client, make_user, path):
    client.force_login(make_user(role="admin"))
    limit_console()
    refused = client.get(path, REMOTE_ADDR=OUTSIDE, HTTP_ACCEPT="text/html")
    assert refused.status_code == 403
    assert f"Your address {OUTSIDE} is not on the list" in refused.content.decode()
    # Nothing of the console around it.
    assert 'id="sidebar"' not in refused.content.decode()
    assert client.get(path, REMOTE_ADDR=INSIDE).status_code in {200, 302}


def test_strangers_see_no_sign_in_page_from_elsewhere(client):
    limit_console()
    assert client.get("/admin/login/", REMOTE_ADDR=OUTSIDE).status_code == 403
    assert client.get("/admin/login/", REMOTE_ADDR=INSIDE).status_code == 200
    assert client.get("/healthz", REMOTE_ADDR=OUTSIDE).status_code == 200
    assert AuditRecord.objects.filter(action="address.refused", outcome="denied").count() == 1


def test_who_has_a_list_by_role_can_reach_the_sign_in_page_from_there(client):
    networks.set_console_networks(actor=SYSTEM, networks=["203.0.113.0/24"])
    limit_role("operator")
    assert client.get("/admin/login/", REMOTE_ADDR=INSIDE).status_code == 200
    assert client.get("/admin/login/", REMOTE_ADDR=OUTSIDE).status_code == 403


def test_a_role_is_limited_on_pages_and_with_its_cookie_by_api(client, make_user):
    client.force_login(make_user(role="operator"))
    limit_role("operator")
    for path in ("/admin/", "/api/services/"):
        assert client.get(path, REMOTE_ADDR=OUTSIDE).status_code == 403
        assert client.get(path, REMOTE_ADDR=INSIDE).status_code == 200
    answer = client.get("/api/services/", REMOTE_ADDR=OUTSIDE).json()
    assert OUTSIDE in answer["detail"]


def test_others_are_not_limited_by_a_list_of_a_role_they_lack(client, make_user):
    client.force_login(make_user(role="engineer"))
    limit_role("operator")
    assert client.get("/admin/", REMOTE_ADDR=OUTSIDE).status_code == 200


def test_a_right_password_from_elsewhere_does_not_sign_in(client, make_user):
    make_user(role="operator", username="ada")
    limit_role("operator")
    given = {"username": "ada", "password": "a good long password"}
    path = "/api/auth/login"
    refused = client.post(path, given, "application/json", REMOTE_ADDR=OUTSIDE)
    assert refused.status_code == 403
    assert "access" not in refused.json()
    let_in = client.post(path, given, "application/json", REMOTE_ADDR=INSIDE)
    assert let_in.status_code == 200
    bearer = {"Authorization": f"Bearer {let_in.json()['access']}"}
    fresh = type(client)()
    assert fresh.get("/api/services/", headers=bearer, REMOTE_ADDR=INSIDE).status_code == 200
    assert fresh.get("/api/services/", headers=bearer, REMOTE_ADDR=OUTSIDE).status_code == 403


@pytest.mark.parametrize(
    ("hops", "forwarded", "status"),
    [
        (0, INSIDE, 403),  # nobody is trusted: the header says nothing
        (1, INSIDE, 200),  # the one proxy says whom it saw
        (1, f"{INSIDE}, {OUTSIDE}", 403),  # the first element is what the client invented
        (1, f"{OUTSIDE}, {INSIDE}", 200),
        (2, f"{INSIDE}, {OUTSIDE}, 203.0.113.9", 403),
        (2, f"x, {INSIDE}, 203.0.113.9", 200),
        (1, "", 403),
        (1, "not an address", 403),
    ],
)
def test_a_forged_header_lets_nobody_in(settings, make_user, hops, forwarded, status):
    from django.test import Client

    settings.OPS_TRUSTED_PROXIES = hops
    limit_console()
    client = Client()
    answer = client.get(
        "/admin/login/", REMOTE_ADDR=OUTSIDE, headers={"X-Forwarded-For": forwarded}
    )
    assert answer.status_code == status


def test_the_console_access_page_saves_and_refuses_its_author_outside(client, make_user):
    client.force_login(make_user(role="admin"))
    page = "/admin/accounts/installation/"
    assert INSIDE in client.get(page, REMOTE_ADDR=INSIDE).content.decode()
    answer = client.post(page, {"networks": OFFICE}, REMOTE_ADDR=OUTSIDE, follow=True)
    assert "the address you come from" in answer.content.decode()
    assert Installation.objects.get().console_networks == []
    client.post(page, {"networks": f"{OFFICE}\n2001:db8::/32"}, REMOTE_ADDR=INSIDE)
    assert Installation.objects.get().console_networks == [OFFICE, "2001:db8::/32"]


def test_the_role_page_saves_what_the_role_asks(client, make_user):
    client.force_login(make_user(role="admin"))
    group = Group.objects.get(name="operator")
    page = f"/admin/auth/group/{group.pk}/change/"
    shown = client.get(page).content.decode()
    assert "resolve and close incidents" in shown
    assert "reliability.change_incident" not in shown
    client.post(page, {"mfa_required": "on", "networks": OFFICE})
    policy = RolePolicy.objects.get()
    assert (policy.group, policy.mfa_required, policy.networks) == (group, True, [OFFICE])
    answer = client.post(page, {"networks": "everywhere"}, follow=True)
    assert "is no network" in answer.content.decode()
    assert RolePolicy.objects.get().networks == [OFFICE]


def test_an_auditor_reads_both_pages_and_changes_neither(client, make_user):
    client.force_login(make_user(role="auditor"))
    group = Group.objects.get(name="operator")
    for page in ("/admin/accounts/installation/", f"/admin/auth/group/{group.pk}/change/"):
        assert client.get(page).status_code == 200
        assert client.post(page, {"networks": OFFICE}).status_code == 403
    assert not RolePolicy.objects.exists()
    assert Installation.objects.filter(console_networks=[]).count() == 1
