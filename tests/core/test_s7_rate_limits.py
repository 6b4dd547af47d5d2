"""Rate limits: exact, shared between threads, safe when the store is away (S7)."""

import threading

import pytest

from core import volatile


@pytest.fixture
def clock(monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr("core.volatile.time.time", lambda: now[0])
    return now


@pytest.fixture
def key(request):
    return f"test:{request.node.name}:{id(request)}"


def test_the_limit_passes_at_once_and_no_more(clock, key):
    decisions = [volatile.allow(key=key, limit=5, period_seconds=60) for _ in range(6)]
    assert [d.allowed for d in decisions] == [True] * 5 + [False]
    assert [d.remaining for d in decisions] == [4, 3, 2, 1, 0, 0]
    assert decisions[-1].retry_after_seconds == pytest.approx(12.0, abs=0.01)


def test_capacity_returns_evenly(clock, key):
    for _ in range(5):
        volatile.allow(key=key, limit=5, period_seconds=60)
    clock[0] += 12.1
    assert volatile.allow(key=key, limit=5, period_seconds=60).allowed
    assert not volatile.allow(key=key, limit=5, period_seconds=60).allowed


def test_a_clock_that_steps_back_does_not_lock_out(clock, key):
    for _ in range(5):
        volatile.allow(key=key, limit=5, period_seconds=60)
    clock[0] -= 3_600
    assert volatile.allow(key=key, limit=5, period_seconds=60).allowed


def test_once_is_true_once(clock, key):
    assert volatile.once(key=key, seconds=60)
    assert not volatile.once(key=key, seconds=60)
    clock[0] += 61
    assert volatile.once(key=key, seconds=60)


def test_threads_share_the_count(clock, key):
    passed = []

    def call():
        passed.extend(
            volatile.allow(key=key, limit=50, period_seconds=3_600).allowed for _ in range(25)
        )

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed.count(True) == 50


def test_without_a_store_the_process_counts_alone_at_half_the_rate(clock, key, monkeypatch, caplog):
    class Away:
        def advance(self, *_):
            raise OSError

    limiter = volatile.Limiter()
    monkeypatch.setattr(limiter, "_chosen", Away)
    monkeypatch.setattr(volatile, "_limiter", limiter)
    allowed = [volatile.allow(key=key, limit=10, period_seconds=60).allowed for _ in range(10)]
    assert allowed == [True] * 5 + [False] * 5
    assert caplog.text.count("by this process alone") == 1


def test_an_address_over_its_limit_gets_429_with_retry_after(client, db, settings):
    settings.OPS_RATE_LIMIT = 3
    answers = [client.get("/api/schema/", REMOTE_ADDR="203.0.113.9") for _ in range(4)]
    assert [a.status_code for a in answers] == [401, 401, 401, 429]
    assert int(answers[-1]["Retry-After"]) == 20
    assert answers[-1]["Content-Type"] == "application/problem+json"
    assert client.get("/api/schema/", REMOTE_ADDR="203.0.113.10").status_code == 401


def test_signing_in_has_a_limit_of_its_own(client, db, settings):
    settings.OPS_LOGIN_RATE_LIMIT = 2
    form = {"username": "nobody", "password": "wrong"}
    codes = [
        client.post("/admin/login/", form, REMOTE_ADDR="203.0.113.11").status_code for _ in range(3)
    ]
    assert codes == [200, 200, 429]


def test_a_person_has_a_limit_over_all_addresses(api, make_user, settings):
    settings.OPS_RATE_LIMIT = 2
    api.force_authenticate(make_user("audit.view_auditrecord"))
    codes = [
        api.get("/api/audit/", REMOTE_ADDR=f"203.0.113.{n}").status_code for n in range(20, 23)
    ]
    assert codes == [200, 200, 429]
