"""NUL in an address is refused before anything looks at it."""

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address",
    ["/api/audit/?actor=%00", "/api/audit/a%00b/", "/admin/audit/auditrecord/?q=%00", "/%00"],
)
def test_a_nul_is_refused(client, make_user, address):
    client.force_login(make_user(role="admin"))
    answer = client.get(address)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_nul_in_a_cookie_is_refused(client, settings):
    cookie = f'{settings.SESSION_COOKIE_NAME}="aaaa\\000bbbb"'
    assert client.get("/admin/login/", HTTP_COOKIE=cookie).status_code == 400


@pytest.mark.parametrize("cursor", ["cD1hYmM=", "cD0tMQ==", "bz0xJnA9MA==", "%%%", "a" * 10_000])
def test_a_cursor_that_makes_no_sense_is_404(api, make_user, cursor):
    api.force_authenticate(make_user(role="admin"))
    for path in ("audit", "incidents", "services", "notifications", "ops/uptime"):
        assert api.get(f"/api/{path}/", {"cursor": cursor}).status_code in {200, 404}


def test_a_body_nested_without_end_is_refused(api, make_user):
    api.force_authenticate(make_user(role="admin"))
    body = b"[" * 100_000
    assert api.post("/api/services/", body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("query", ["?q=%2500", "?outcome=%FF", "?page_size=x", "?cursor=x"])
def test_other_odd_queries_do_not_fail(client, make_user, query):
    client.force_login(make_user(role="admin"))
    assert client.get(f"/admin/audit/auditrecord/{query}").status_code < 500
    assert client.get(f"/api/audit/{query}").status_code < 500
