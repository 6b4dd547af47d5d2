"""What the check of an API key costs while the key is remembered (A6)."""

import time

import pytest

from accounts.authentication.api_keys import principal_of
from accounts.services import api_keys
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db
TIMES = 5_000


def test_a_remembered_key_is_checked_without_a_query_in_microseconds(
    make_user, django_assert_num_queries
):
    owner = make_user(role="engineer")
    _, raw = api_keys.create(
        actor=SYSTEM, owner_id=owner.pk, label="CI", scopes=["reliability:read"]
    )
    assert principal_of(raw, "192.0.2.1") is not None

    best = float("inf")
    with django_assert_num_queries(0):
        for _ in range(5):
            began = time.process_time()
            for _ in range(TIMES):
                principal_of(raw, "192.0.2.1")
            best = min(best, (time.process_time() - began) / TIMES * 1e6)

    # The goal is 15 µs; other work on the machine costs caches, which is no fault of the code.
    assert best < 30
