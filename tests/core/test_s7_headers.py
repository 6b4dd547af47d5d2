"""Security headers stand on every kind of answer."""

from __future__ import annotations

import pytest
from django.test import Client

from core.headers import API_POLICY, PAGE_POLICY, api_headers, security_headers

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture
def web(settings, tmp_path):
    """Return a client of the platform with views for every kind of answer, and a static file."""
    settings.ROOT_URLCONF = "tests.observability.urls"
    settings.STATIC_ROOT = str(tmp_path)
    (tmp_path / "app.js").write_text("1")
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("path", "status", "policy"),
    [
        ("/page", 200, PAGE_POLICY),
        ("/context", 200, API_POLICY),
        ("/stream", 200, PAGE_POLICY),
        ("/file", 200, API_POLICY),
        ("/healthz", 200, API_POLICY),
        ("/none", 404, PAGE_POLICY),
        ("/api/none", 404, API_POLICY),
        ("/boom", 500, PAGE_POLICY),
        ("/away", 302, PAGE_POLICY),
        ("/admin/", 302, PAGE_POLICY),
        ("/api/schema/", 401, API_POLICY),
        ("/static/app.js", 200, API_POLICY),
    ],
)
@pytest.mark.django_db
def test_every_answer_has_them(web, path, status, policy):
    answer = web.get(path)
    answer.close()

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["Content-Security-Policy"] == policy
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "Server" not in answer.headers
    assert "X-Request-ID" in answer.headers


def test_a_host_that_is_not_ours_is_refused_with_them(web):
    answer = web.get("/page", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


def test_pages_run_nothing_inline_and_nothing_from_elsewhere():
    directives = dict(part.split(" ", 1) for part in PAGE_POLICY.split("; "))

    assert directives["default-src"] == "'none'"
    assert not any("unsafe" in sources or "http" in sources for sources in directives.values())
    assert {directives[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"


def test_a_view_may_set_its_own(web):
    answer = web.get("/own", headers={"X-Dash-Key": "anything"})

    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["Cache-Control"] == "max-age=5"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "X-Dash-Key"])
def test_answers_to_credentials_are_not_kept(web, header):
    assert web.get("/page", headers={header: "x"}).headers["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_answers_to_a_session_are_not_kept(web, make_user):
    web.force_login(make_user())

    assert web.get("/page").headers["Cache-Control"] == "no-store"


def test_answers_with_a_cookie_are_not_kept(web):
    assert web.get("/cookie").headers["Cache-Control"] == "no-store"


def test_other_answers_may_be_kept(web):
    assert "Cache-Control" not in web.get("/page").headers


def test_strict_transport_only_over_tls():
    assert "Strict-Transport-Security" not in security_headers(page=True, https=False)
    assert security_headers(page=True, https=True)["Strict-Transport-Security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )


def test_the_bridge_gets_the_same_headers():
    pairs = dict(api_headers(https=True))

    assert pairs == {
        name.lower().encode(): value.encode()
        for name, value in security_headers(page=False, https=True).items()
    }
