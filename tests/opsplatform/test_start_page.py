"""Where everybody starts, and what a signed-out or restricted person is shown."""

import socket

import pytest
from django.contrib.messages import get_messages

from opsplatform.supervisor.readiness import Readiness

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "leads"), [("admin", "/admin/"), ("user", "/account/"), (None, "/account/")]
)
def test_the_root_leads_everybody_to_where_they_start(client, make_user, role, leads):
    client.force_login(make_user(role=role))
    assert client.get("/").headers["Location"] == leads


def test_the_root_leads_strangers_to_the_console(client):
    assert client.get("/").headers["Location"] == "/admin/"


def test_the_console_leads_who_may_not_open_it_to_their_own_account(client, make_user):
    client.force_login(make_user(role="user"))
    answer = client.get("/admin/accounts/user/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/"
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert told == ["Your role does not open the console. This is your own account."]


def test_who_is_signed_out_sees_nothing_of_the_console(client, make_user):
    client.force_login(make_user(role="admin"))
    page = client.post("/admin/logout/").content.decode()
    assert "Signed out" in page
    for gone in ('class="palette-button', 'id="live"', 'id="user-menu"', 'id="sidebar"'):
        assert gone not in page


def test_no_tab_leads_to_a_page_that_is_closed_for_now(client, make_user):
    user = make_user(role="user")
    user.must_change_password = True
    user.save(update_fields=["must_change_password"])
    client.force_login(user)
    page = client.get("/account/password/").content.decode()
    assert 'href="/account/password/"' in page
    for closed in ("/account/mfa/", "/account/sessions/", "/account/keys/"):
        assert f'href="{closed}"' not in page


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/incidents/", "/api/services/"])
def test_routes_of_the_api_answer_with_and_without_a_slash(api, make_user, path):
    api.force_login(make_user(role="admin"))
    other = path[:-1] if path.endswith("/") else f"{path}/"
    assert (api.get(path).status_code, api.get(other).status_code) == (200, 200)
    assert api.get(path).json().keys() == api.get(other).json().keys()


def test_the_slash_opens_no_way_around_what_a_route_asks(api):
    assert api.get("/api/incidents").status_code == 401
    assert api.post("/api/auth/login/", {}).status_code == 400
    assert api.get("/api/nothing").status_code == 404
    assert api.get("/api/nothing/").status_code == 404


def test_a_loopback_platform_is_told_by_the_name_that_passkeys_need():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert Readiness(listener, first_lines=[])._shown() == "localhost"


def test_a_name_that_leads_to_another_program_is_not_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        try:
            other = socket.create_server(("::1", port), family=socket.AF_INET6)
        except OSError:
            pytest.skip("This machine has no IPv6 loopback.")
        with other:
            names = {entry[4][0] for entry in socket.getaddrinfo("localhost", port)}
            told = Readiness(listener, first_lines=[])._shown()
            assert told == ("127.0.0.1" if "::1" in names else "localhost")
