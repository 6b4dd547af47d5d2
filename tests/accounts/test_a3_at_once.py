"""A role changes while its holder's requests run: no request that begins later sees the old one."""

import threading
import time

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.services import sessions, users
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/services/"
THREADS = 6


@pytest.fixture
def root(make_user):
    return make_user(username="root", role="admin")


@pytest.fixture
def hammer():
    """Return a function that asks without end in threads; it returns when and how each ended."""
    over = threading.Event()
    threads = []

    def start(access):
        answers = []

        def ask():
            client = APIClient()
            while not over.is_set():
                began = time.monotonic()
                answer = client.get(PATH, HTTP_AUTHORIZATION=f"Bearer {access}")
                answers.append((began, answer.status_code))
            connection.close()

        threads.extend(threading.Thread(target=ask) for _ in range(THREADS))
        for thread in threads:
            thread.start()
        return answers

    def stop():
        over.set()
        for thread in threads:
            thread.join()

    start.stop = stop
    yield start
    stop()


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("before", "after", "first", "then"),
    [(["engineer"], [], 200, 401), ([], ["engineer"], 403, 200)],
    ids=["lost", "given"],
)
def test_what_begins_after_the_change_is_judged_by_it(
    settings, make_user, root, hammer, before, after, first, then
):
    settings.OPS_RATE_LIMIT = 1_000_000
    ann = make_user(username="ann", role=before[0] if before else None)
    answers = hammer(sessions.begin_api(user=ann).access)
    until(lambda: len(answers) > 5 * THREADS)

    asked = time.monotonic()
    users.update_user(actor=SYSTEM, user_id=ann.pk, email="", roles=after, is_active=True)
    done = time.monotonic()
    until(lambda: sum(began > done for began, _ in answers) > 5 * THREADS)
    hammer.stop()

    assert {status for began, status in answers if began > done} == {then}
    # Whoever was let in just before may be refused by the role instead of by the end.
    assert {first, then} <= {status for _, status in answers} <= {first, then, 403}
    ended = [began for began, status in answers if status == first]
    assert min(ended) < asked
