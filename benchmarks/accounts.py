"""What it costs to know who asks, on SQLite unless DATABASE_URL is set; peers beside it.

The peers are installed into an environment of their own. Where that is not possible, their rows are
left out and the reason is told.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.peers.environment import PeersAwayError, measure
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROUNDS = 5
_CALLS = 20_000
_REQUESTS = 500
_MOST_QUERIES = 20  # of hundreds of thousands of checks
_REVOCATIONS = 100_000
_SESSIONS = 1_000
_WATCHERS = 4
_WATCHED = 30
_CLIENTS = 4
_WRONG = 100
_PASSWORD = "a good long password"  # noqa: S105  # of a benchmark, and of nobody else


def run() -> Iterator[Row]:
    """Measure checks, revocation, signing in and lockout."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    peers = _peers()
    user = _person("person")
    yield from _checks(user, peers)
    yield from _keys(user, peers)
    yield from _revocation(user)
    yield from _visibility(user)
    yield from _signing_in(peers)


def _peers() -> dict[str, float]:
    try:
        return measure("access")
    except PeersAwayError as error:
        print(f"The peers of access are left out: {error}", file=sys.stderr)
        return {}


def _beside(
    peers: dict[str, float], name: str, what: str, ours: float, unit: str, title: str
) -> Iterator[Row]:
    if name in peers:
        yield Row(what, ours, unit, title, peers[name])


def _checks(user: Any, peers: dict[str, float]) -> Iterator[Row]:  # noqa: ANN401
    from accounts.authentication import tokens
    from accounts.authentication.headers import HeaderAuthentication
    from accounts.services.sessions import begin_api

    begun = begin_api(user=user)
    request = _request(HTTP_AUTHORIZATION=f"Bearer {begun.access}")
    authenticate = HeaderAuthentication().authenticate
    authenticate(request)
    with _no_queries():
        warm = _cpu_us(lambda: tokens.principal_of(begun.access), _CALLS)
        whole = _cpu_us(lambda: authenticate(request), _CALLS)
        principal = tokens.principal_of(begun.access)
        assert principal is not None
        role = _cpu_us(lambda: principal.has_perm("reliability.view_service"), _CALLS)
    what = "token check, warm, CPU"
    yield Row(what, warm, "µs", "limit 10 µs", 10)
    yield from _beside(peers, "simplejwt_us", what, warm, "µs", "simplejwt")
    yield from _beside(peers, "simplejwt_stateless_us", what, warm, "µs", "simplejwt, stateless")
    yield from _beside(peers, "knox_us", what, warm, "µs", "knox")
    yield Row("the same with networks and restrictions, CPU", whole, "µs", "limit 25 µs", 25)
    yield Row("check of a right, CPU", role, "µs", "limit 5 µs", 5)

    def cold() -> None:
        tokens.verified.clear()
        assert tokens.principal_of(begun.access) is not None

    yield Row("token check, cold, CPU", _cpu_us(cold, 1_000), "µs", "limit 100 µs", 100)
    without, beside = _whole_request(begun.access)
    what = "throughput of a DRF view that is left with a token"
    yield Row(what, without / beside, "", "limit 0.85", 0.85, higher_is_better=True)
    what = "what a token adds to a request, rate limit included, CPU"
    for name in ("simplejwt", "knox"):
        title = f"{name}, without a limit"
        yield from _beside(peers, f"{name}_adds_us", what, beside - without, "µs", title)


def _whole_request(access: str) -> tuple[float, float]:
    """Return microseconds of CPU for a request without and with a token.

    The view is open to everybody and goes through the whole middleware; a token that is sent along
    is judged all the same, and its holder counted by the rate limit.
    """
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import RequestFactory, override_settings

    headers = {"open": {}, "ours": {"HTTP_AUTHORIZATION": f"Bearer {access}"}}
    spent: dict[str, list[float]] = {name: [] for name in headers}
    with override_settings(ROOT_URLCONF="benchmarks.served.views", OPS_RATE_LIMIT=1_000_000_000):
        handler = WSGIHandler()
        factory = RequestFactory(headers={"host": "localhost"})
        for _ in range(_ROUNDS):
            for name, sent in headers.items():
                environs = [factory.get("/api/hello/", **sent).environ for _ in range(_REQUESTS)]
                began = time.thread_time()
                for environ in environs:
                    answer = handler(environ, _start_response)
                    answer.close()
                spent[name].append(time.thread_time() - began)
    return min(spent["open"]) / _REQUESTS * 1e6, min(spent["ours"]) / _REQUESTS * 1e6


def _start_response(status: str, _headers: object, _exc_info: object = None) -> Any:  # noqa: ANN401
    assert status.startswith("200"), status


def _keys(user: Any, peers: dict[str, float]) -> Iterator[Row]:  # noqa: ANN401
    from accounts.authentication import api_keys
    from accounts.services.api_keys import create
    from core.actors import SYSTEM

    _, raw = create(actor=SYSTEM, owner_id=user.pk, label="benchmark", scopes=["reliability:read"])
    assert api_keys.principal_of(raw, "127.0.0.1") is not None
    with _no_queries():
        warm = _cpu_us(lambda: api_keys.principal_of(raw, "127.0.0.1"), _CALLS)
    yield Row("API key check, warm, CPU", warm, "µs", "limit 15 µs", 15)
    yield from _beside(peers, "api_key_us", "API key check, warm, CPU", warm, "µs", "drf-api-key")


def _revocation(user: Any) -> Iterator[Row]:  # noqa: ANN401
    from datetime import timedelta
    from uuid import uuid4

    from django.utils import timezone

    from accounts.models import AccessChange, UserSession
    from accounts.selectors import access
    from accounts.services.revocation import end_all, end_session
    from accounts.services.sessions import begin_api
    from audit.services.acts import unwatched
    from core.actors import SYSTEM

    later = timezone.now() + timedelta(hours=1)
    AccessChange.objects.bulk_create(
        AccessChange(kind="sid", value=uuid4().hex, not_after=later) for _ in range(_REVOCATIONS)
    )
    access.reset()
    began = time.perf_counter()
    access.fresh()
    yield Row(
        f"loading {_REVOCATIONS:,} live revocations",
        time.perf_counter() - began,
        "s",
        "limit 1 s",
        1,
    )
    sid = uuid4().hex
    count = 500_000
    best = 0.0
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(count):
            access.fresh()
            access.standing.is_ended(sid=sid, jti=sid, kid=sid)
        best = max(best, count / (time.process_time() - began))
    yield Row("revocation checks", best, "/s", "limit 1,000,000/s", 1e6, higher_is_better=True)
    # The triggers would tell of each row that goes.
    with unwatched("set-up of a measurement"):
        AccessChange.objects.all().delete()

    spent: list[float] = []
    bare: list[float] = []
    for _ in range(100):
        session = begin_api(user=user).session
        began = time.perf_counter()
        end_session(actor=SYSTEM, session=session, reason="benchmark")
        spent.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        # It changes the same row, in a column that is not watched.
        UserSession.objects.filter(pk=session.pk).update(device="benchmark")
        bare.append((time.perf_counter() - began) * 1000)
    yield Row("revoking one session, p95", _p95(spent), "ms", "limit 5 ms", 5)
    what = "the same, median, as a multiple of committing one row"
    yield Row(what, median(spent) / median(bare), "", "goal 4", 4)

    spent = []
    for _ in range(10):
        with unwatched("set-up of a measurement"):
            UserSession.objects.bulk_create(
                UserSession(user=user, kind="api", expires_at=later) for _ in range(_SESSIONS)
            )
        began = time.perf_counter()
        end_all(actor=SYSTEM, user_id=user.pk, reason="benchmark")
        spent.append((time.perf_counter() - began) * 1000)
    what = f"revoking all {_SESSIONS:,} sessions of a person, p95"
    yield Row(what, _p95(spent), "ms", "limit 50 ms", 50)


def _visibility(user: Any) -> Iterator[Row]:  # noqa: ANN401
    """Stamp the commit here and the moment at which other processes know it."""
    from accounts.services.revocation import end_session
    from accounts.services.sessions import begin_api
    from core.actors import SYSTEM

    user.refresh_from_db()  # all sessions were ended meanwhile
    command = [sys.executable, "-m", "benchmarks.served.watching", str(_WATCHED)]
    watchers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(_WATCHERS)
    ]
    for watcher in watchers:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "ready\n"
    told: dict[str, float] = {}
    for _ in range(_WATCHED):
        session = begin_api(user=user).session
        end_session(actor=SYSTEM, session=session, reason="benchmark")
        told[session.pk.hex] = time.time()
        time.sleep(random.uniform(0.1, 0.4))  # noqa: S311  # no secret depends on it
    late: list[float] = []
    for watcher in watchers:
        known: dict[str, float] = json.loads(watcher.communicate()[0])
        assert known.keys() >= told.keys()
        late += [known[sid] - at for sid, at in told.items()]
    what = f"a revocation is known to {_WATCHERS} other processes"
    yield Row(f"{what}, median", sorted(late)[len(late) // 2], "s", "limit 1 s", 1)
    yield Row(f"{what}, longest", max(late), "s", "limit 1 s", 1)


def _signing_in(peers: dict[str, float]) -> Iterator[Row]:
    _person("clerk")
    spent: list[float] = []
    threads = [threading.Thread(target=_sign_in_often, args=[spent]) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one = [*spent]
    spent.clear()
    _sign_in_often(spent)
    yield Row("signing in, one client, p95", _p95(spent), "ms", "limit 60 ms", 60)
    yield from _beside(
        peers, "login_ms", "signing in, CPU", _sign_in_cpu(), "ms", "Django's hash alone"
    )
    yield Row(
        f"signing in, {_CLIENTS} clients on one process, p95", _p95(one), "ms", "goal 60 ms", 60
    )
    yield Row("memory that one sign-in takes", _sign_in_memory(), "MiB", "limit 46 MiB", 46)
    what = f"wrong passwords judged of {_WRONG} at once"
    judged = _judged()
    yield Row(what, judged, "", "limit 5", 5)
    if peers:
        yield Row(what, judged, "", "axes, of 40", peers["axes_verifications"])


def _attempt(username: str, password: str) -> object:
    from accounts.engine.webauthn import RelyingParty
    from accounts.services.login import attempt

    host = RelyingParty(host="localhost", origin="http://localhost")
    return attempt(username=username, password=password, place="login", rp=host)


def _sign_in_often(spent: list[float], times: int = 25) -> None:
    from django.db import connection

    from accounts.services.sessions import begin_api

    for _ in range(times):
        began = time.perf_counter()
        found: Any = _attempt("clerk", _PASSWORD)
        begin_api(user=found.user, methods=found.methods)
        spent.append((time.perf_counter() - began) * 1000)
    connection.close()


def _sign_in_cpu() -> float:
    """Return milliseconds of CPU of the process: hashes have threads of their own."""
    spent = []
    for _ in range(10):
        began = time.process_time()
        _attempt("clerk", _PASSWORD)
        spent.append((time.process_time() - began) * 1000)
    return min(spent)


def _sign_in_memory() -> float:
    """Return by how much the peak of a fresh process grows with its first sign-in."""
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_tell_memory, args=[writer])
    child.start()
    grown: float = reader.recv()
    child.join()
    return grown


def _tell_memory(writer: Any) -> None:  # noqa: ANN401
    import django

    django.setup()
    from django.contrib.auth.hashers import get_hasher

    import accounts.services.login
    import accounts.services.sessions  # noqa: F401  # what is loaded anyway is not counted
    from accounts.models import User

    get_hasher()
    assert User.objects.count()
    before = _peak()
    _sign_in_often([], 1)
    writer.send(_peak() - before)


def _peak() -> float:
    """Return the most memory that this program has had, in MiB."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


def _judged() -> float:
    """Return how many of many wrong passwords at once reach the hasher."""
    from django.db import connection

    from accounts.hashers import BoundedArgon2Hasher

    _person("target")
    asked: list[int] = []
    verify = BoundedArgon2Hasher.verify

    def counted(self: Any, password: str, encoded: str) -> Any:  # noqa: ANN401
        asked.append(1)
        return verify(self, password, encoded)

    BoundedArgon2Hasher.verify = counted  # type: ignore[method-assign]
    start = threading.Barrier(_WRONG)

    def wrong() -> None:
        from core.errors import DomainError

        start.wait()
        try:
            _attempt("target", "not the password")
        except DomainError:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=wrong) for _ in range(_WRONG)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    BoundedArgon2Hasher.verify = verify  # type: ignore[method-assign]
    return float(len(asked))


def _person(name: str) -> Any:  # noqa: ANN401
    from django.contrib.auth.models import Group

    from accounts.models import User
    from audit.services.acts import unwatched

    with unwatched("a benchmark"):
        user = User.objects.create_user(name, password=_PASSWORD)
        user.groups.add(Group.objects.get(name="operator"))
    return user


def _request(**headers: str) -> Any:  # noqa: ANN401
    from rest_framework.request import Request
    from rest_framework.test import APIRequestFactory

    return Request(APIRequestFactory().get("/", **headers))


@contextlib.contextmanager
def _no_queries() -> Iterator[None]:
    """Refuse that checks ask the database, but for the reading anew every half a minute."""
    from django.db import connection

    asked: list[str] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401, FBT001
        asked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield
    assert len(asked) <= _MOST_QUERIES, asked


def _cpu_us(call: Callable[[], object], count: int) -> float:
    """Return the least CPU of a call over some rounds, in this thread alone."""
    call()
    spent = []
    for _ in range(_ROUNDS):
        began = time.thread_time()
        for _ in range(count):
            call()
        spent.append((time.thread_time() - began) / count * 1e6)
    return min(spent)


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.95) - 1)]
