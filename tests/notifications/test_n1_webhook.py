"""What a webhook says, and what each answer to it means."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from core.http import (
    Failure,
    FetchError,
    InvalidTargetError,
    OutgoingResponse,
    Phases,
    Policy,
    RefusedTargetError,
)
from notifications.engine.base import Message, Verdict, excerpt, idempotency_key, scrub
from notifications.engine.webhook import (
    WebhookConfig,
    active_secrets,
    classify,
    classify_error,
    known_secrets,
    render,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CONFIG = WebhookConfig(
    url="https://hooks.example.com/services/t0p-s3cret?key=hidden-too", secrets=("signing-secret",)
)
MESSAGE = Message(
    kind="check.down",
    severity="critical",
    status="firing",
    title="shop <b>is</b> down ü",
    body="HTTP 500",
    service="shop\r\nX: y",
    labels={"region": "eu"},
    links={"Incident": "https://ops.example.com/i/1"},
    dedup_key="check:1",
    seq=7,
    occurred_at="2026-11-20T11:59:00+00:00",
    reason="first",
)


def rendered(timestamp: int = 1_800_000_000):
    return render(MESSAGE, key="key-1", config=CONFIG, timestamp=timestamp, timeout_seconds=7)


def answered(status: int, *, body: bytes = b"", **headers: str):
    response = OutgoingResponse(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body,
        truncated=False,
        url=CONFIG.url,
        phases=Phases(),
    )
    return classify(response, secrets=known_secrets(CONFIG), now=NOW)


def test_body_has_a_version_and_the_whole_alert():
    assert json.loads(rendered().body) == {
        "version": 1,
        "id": "key-1",
        "reason": "first",
        "event": {
            "kind": "check.down",
            "severity": "critical",
            "status": "firing",
            "service": "shop\r\nX: y",
            "title": "shop <b>is</b> down ü",
            "body": "HTTP 500",
            "labels": {"region": "eu"},
            "links": {"Incident": "https://ops.example.com/i/1"},
            "dedup_key": "check:1",
            "sequence": 7,
            "occurred_at": "2026-11-20T11:59:00+00:00",
        },
        "note": "",
        "thread": {"key": "", "firing": 0, "resolved": 0, "alerts": []},
    }


def test_only_timestamp_and_signature_differ_between_attempts():
    first, second = rendered(1), rendered(2)

    assert first.body == second.body
    differing = {name for name in first.headers if first.headers[name] != second.headers[name]}
    assert differing == {"X-OpsPlatform-Timestamp", "X-OpsPlatform-Signature"}
    assert (first.method, first.url, first.max_redirects) == ("POST", CONFIG.url, 0)
    assert first.timeout_seconds == 7


def test_no_header_holds_what_an_alert_says():
    headers = " ".join(rendered().headers.values())

    assert "shop" not in headers
    assert "\n" not in headers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_delivered_and_its_body_is_not_kept(status):
    outcome = answered(status, body=b"thanks")

    assert (outcome.verdict, outcome.excerpt) == (Verdict.DELIVERED, "")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status):
    outcome = answered(status, body=b"busy", Retry_After="30")

    assert (outcome.verdict, outcome.retry_after_seconds) == (Verdict.RETRY, 30.0)
    assert (outcome.error_class, outcome.excerpt) == (f"http_{status}", "busy")


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422])
def test_what_will_not_pass_is_refused(status):
    outcome = answered(status, Retry_After="30")

    assert (outcome.verdict, outcome.retry_after_seconds) == (Verdict.REFUSED, None)
    assert outcome.gone is (status == 410)
    assert not outcome.local


@pytest.mark.parametrize(
    ("failure", "uncertain"),
    [
        (Failure.DNS, False),
        (Failure.CONNECT, False),
        (Failure.TLS, False),
        (Failure.TIMEOUT, True),
        (Failure.PROTOCOL, True),
    ],
)
def test_failure_on_the_way_is_tried_again(failure, uncertain):
    error = FetchError(failure, f"broken at {CONFIG.url}", Phases())

    outcome = classify_error(error, secrets=known_secrets(CONFIG))

    assert (outcome.verdict, outcome.uncertain) == (Verdict.RETRY, uncertain)
    assert (outcome.error_class, outcome.excerpt) == (str(failure), "broken at [masked]")


@pytest.mark.parametrize(
    "error", [InvalidTargetError("No such scheme."), RefusedTargetError(Policy.OUTBOUND)]
)
def test_what_the_platform_refuses_is_final_and_local(error):
    outcome = classify_error(error, secrets=())

    assert (outcome.verdict, outcome.local) == (Verdict.REFUSED, True)
    assert outcome.detail == error.message


def test_parts_of_the_url_that_may_be_tokens_are_known():
    known = known_secrets(CONFIG)

    assert {"t0p-s3cret", "hidden-too", "signing-secret", CONFIG.url} <= set(known)
    assert "services" not in known
    assert scrub("t0p-s3cret and hidden-too", known) == "[masked] and [masked]"


def test_settings_do_not_show_when_printed():
    assert "s3cret" not in repr(CONFIG)
    assert "signing" not in repr(CONFIG)


def test_secret_before_the_cut_of_a_long_answer_is_hidden():
    body = b"x" * 1_020 + CONFIG.url.encode() + b"y" * 9_000

    told = excerpt(body, known_secrets(CONFIG))

    assert len(told) == 1_024
    assert "hooks" not in told


def test_previous_secret_signs_until_its_time():
    config = {
        "secret": "new",
        "previous": {"secret": "old", "until": (NOW + timedelta(hours=1)).isoformat()},
    }

    assert active_secrets(config, now=NOW) == ("new", "old")
    assert active_secrets(config, now=NOW + timedelta(hours=1)) == ("new",)
    assert active_secrets({"secret": "new"}, now=NOW) == ("new",)


def test_snapshot_survives_the_outbox_and_older_ones_read_as_empty():
    assert Message.from_payload(json.loads(json.dumps(MESSAGE.to_payload()))) == MESSAGE

    old = Message.from_payload({"version": 0, "title": 5, "labels": "none", "seq": "x"})
    assert (old.title, old.labels, old.seq, old.kind) == ("", {}, 0, "")


def test_key_depends_on_every_part_and_its_place():
    keys = {
        idempotency_key("a", 1, "b"),
        idempotency_key("a", 1, "c"),
        idempotency_key("a", 2, "b"),
        idempotency_key("a1", "", "b"),
        idempotency_key("", "a1", "b"),
    }

    assert len(keys) == 5
    assert idempotency_key("a", 1, "b") == idempotency_key("a", 1, "b")
