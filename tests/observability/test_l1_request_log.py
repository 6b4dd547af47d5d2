"""Every request has an id, a trace and one line in the log."""

from __future__ import annotations

import logging

import pytest

from core import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def access(lines):
    """Return the lines of the access log."""
    return [line for line in lines if line["module"] == "observability.middleware"]


def test_an_answer_has_a_request_id(web):
    first, second = (web.get("/page").headers["X-Request-ID"] for _ in range(2))

    assert tracing.is_request_id(first)
    assert first != second


def test_a_well_formed_id_is_taken_over(web, lines):
    answer = web.get("/page", headers={"X-Request-ID": "request-0001"})

    assert answer.headers["X-Request-ID"] == "request-0001"
    assert access(lines)[0]["request_id"] == "request-0001"


@pytest.mark.parametrize(
    "given", ["short", "with space and", "<script>alert", "x" * 65, "ünïcödé-id"]
)
def test_a_malformed_id_is_not(web, given):
    answer = web.get("/page", headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"] != given
    assert len(answer.headers["X-Request-ID"]) == 32


def test_a_trace_goes_on(web, lines):
    web.get("/page", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    assert access(lines)[0]["trace_id"] == TRACE


def test_a_line_says_what_was_asked_and_answered(web, lines):
    web.post("/page?token=abc&mail=ann@example.com", REMOTE_ADDR="192.0.2.7")

    (line,) = access(lines)
    context = line["context"]
    assert (line["level"], line["message"], line["user"]) == ("INFO", "POST /page 200", None)
    assert 0 <= context.pop("ms") < 60_000
    assert context == {
        "method": "POST",
        "path": "/page",
        "status": 200,
        "bytes": 8,
        "address": "192.0.2.7",
    }


def test_a_long_path_is_cut(web, lines):
    web.get("/" + "x" * 2_000)

    assert len(access(lines)[0]["context"]["path"]) == 512


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.django_db(transaction=True)
def test_machines_that_ask_all_the_time_are_logged_quietly(web, caplog, path):
    with caplog.at_level(logging.DEBUG, "observability.middleware"):
        web.get(path)

    records = [r for r in caplog.records if r.name == "observability.middleware"]
    assert [record.levelname for record in records] == ["DEBUG"]


@pytest.mark.django_db
def test_the_user_of_the_console_is_named(web, make_user, lines):
    user = make_user(role="admin", username="ann")
    web.force_login(user)

    web.get("/admin/")

    assert access(lines)[0]["user"] == "ann"


def test_a_failure_is_logged_with_its_traceback_and_id(web, lines):
    answer = web.get("/boom", headers={"Accept": "application/json"})

    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    failed = [line for line in lines if line["exc"]]
    assert [line["request_id"] for line in failed] == [answer.headers["X-Request-ID"]]
    assert failed[0]["exc"].endswith("ValueError: token=[masked]")
    assert access(lines)[0]["context"]["status"] == 500


def test_answers_that_were_refused_have_one_line(web, lines):
    web.get("/none", headers={"Accept": "application/json"})

    assert [line["message"] for line in lines] == ["GET /none 404"]


def test_a_stream_is_logged_when_it_ends(web, lines):
    answer = web.get("/stream")
    assert access(lines) == []

    assert b"".join(answer.streaming_content) == b"x" * 30

    (line,) = access(lines)
    assert line["context"]["bytes"] == 30
    blocks = [one for one in lines if one["message"].startswith("block")]
    assert {one["request_id"] for one in [*blocks, line]} == {answer.headers["X-Request-ID"]}
    assert len(blocks) == 3
    assert tracing.current() == tracing.Context()


def test_a_stream_that_is_cut_is_logged_too(web, lines):
    answer = web.get("/stream")
    next(iter(answer.streaming_content))

    answer.close()

    assert access(lines)[0]["context"]["bytes"] == 10


def test_a_file_is_logged_with_its_size(web, lines):
    answer = web.get("/file")

    assert access(lines)[0]["context"]["bytes"] == len(b"".join(answer.streaming_content))


def test_the_context_for_audit_rows_is_bound(web):
    answer = web.get("/context", headers={"User-Agent": "browser " + "x" * 300})

    assert answer.json() == {"address": "127.0.0.1", "user_agent": "browser " + "x" * 248}
    assert tracing.current() == tracing.Context()


def test_a_forged_address_does_not_count(web):
    answer = web.get("/context", headers={"X-Forwarded-For": "203.0.113.9"})

    assert answer.json()["address"] == "127.0.0.1"


def test_behind_a_proxy_its_word_counts(web, settings):
    settings.OPS_TRUSTED_PROXIES = 1

    answer = web.get("/context", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.4"})

    assert answer.json()["address"] == "198.51.100.4"
