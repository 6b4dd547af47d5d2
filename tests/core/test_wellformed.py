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


@pytest.mark.parametrize("query", ["?q=%2500", "?outcome=%FF", "?page_size=x", "?cursor=x"])
def test_other_odd_queries_do_not_fail(client, make_user, query):
    client.force_login(make_user(role="admin"))
    assert client.get(f"/admin/audit/auditrecord/{query}").status_code < 500
    assert client.get(f"/api/audit/{query}").status_code < 500
