"""The status page costs strangers nothing, and outlives its database."""

import pytest
from django.db import OperationalError

from reliability.pages import status
from reliability.selectors import status as read
from reliability.services import catalogue


@pytest.fixture(autouse=True)
def _no_copies(settings, tmp_path):
    settings.OPS_DATA_DIR = tmp_path
    status.copies.forget()
    yield
    status.copies.forget()


@pytest.fixture
def shop(make_service, make_check):
    service = make_service("shop-backend-7", is_public=True, public_name="Shop")
    make_check(service=service)
    return service


def test_the_page_sets_no_cookie_and_may_be_cached(client, shop):
    answer = client.get("/status/")

    assert not answer.cookies
    assert answer.headers["Cache-Control"] == "public, max-age=15"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert b"<script" not in answer.content
    again = client.get("/status/", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_whoever_asks_again_soon_gets_the_copy_without_a_query(
    client, shop, operator, django_assert_num_queries
):
    first = client.get("/status/")
    catalogue.update_service(actor=operator, service_id=shop.pk, public_name="Another name")

    with django_assert_num_queries(0):
        again = client.get("/status/")

    assert again.content == first.content


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_but_reading_is_allowed(client, db, method):
    assert getattr(client, method)("/status/").status_code == 405


@pytest.fixture
def away(monkeypatch):
    """Return a function that takes the database away from the page."""

    def fail(*_args, **_kwargs):
        message = "server closed the connection unexpectedly"
        raise OperationalError(message)

    def take():
        for name in ("status_page", "incidents_between", "latest"):
            monkeypatch.setattr(read, name, fail)
        monkeypatch.setattr("reliability.pages.copies.Copy.is_fresh", False)

    return take


@pytest.mark.parametrize("path", ["/status/", "/status/history/", "/status/feed.atom"])
def test_the_last_copy_is_shown_while_the_database_is_away(client, shop, away, path):
    before = client.get(path)
    away()

    answer = client.get(path)

    assert answer.status_code == 200
    assert b"Shop" in answer.content or path != "/status/"
    if path != "/status/feed.atom":
        assert b"The newest state cannot be read for now." in answer.content
        assert b"The newest state" not in before.content
        assert answer.headers["ETag"] != before.headers["ETag"]


def test_a_new_process_shows_the_copy_of_the_file(client, shop, away):
    client.get("/status/")
    status.copies.forget()
    away()

    answer = client.get("/status/")

    assert answer.status_code == 200
    assert b"Shop" in answer.content
    assert b"The newest state cannot be read for now." in answer.content


def test_without_any_copy_the_page_is_unavailable(client, db, away):
    away()
    client.raise_request_exception = False

    assert client.get("/status/").status_code == 503


def test_the_database_is_not_asked_at_each_request_while_it_is_away(
    client, shop, away, monkeypatch
):
    client.get("/status/")
    away()
    client.get("/status/")
    asked = []
    monkeypatch.setattr(read, "status_page", lambda *_: asked.append(1))

    assert client.get("/status/").status_code == 200
    assert asked == []


@pytest.mark.django_db
def test_pages_that_are_none_drive_out_no_copy(client, monkeypatch):
    made = []
    page = status._page
    monkeypatch.setattr(status, "_page", lambda number: made.append(number) or page(number))
    assert client.get("/status/").status_code == 200
    for number in range(2, 80):
        assert client.get(f"/status/?page={number}").status_code == 404
    for month in range(1, 80):
        found = client.get(f"/status/history/?month={2010 + month // 12}-{month % 12 + 1:02}")
        assert found.status_code == 200

    assert client.get("/status/").status_code == 200

    assert made.count(1) == 1


@pytest.mark.parametrize(
    "month", ["2026-1", "\u0662\u0660\u0662\u0666-11", "2026-011", "2026-13", "x"]
)
def test_what_is_no_month_is_no_page(client, month):
    assert client.get("/status/history/", {"month": month}).status_code == 404
