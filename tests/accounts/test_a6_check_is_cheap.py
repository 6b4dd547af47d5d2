"""A remembered API key is checked without the database (A6); its time is in the benchmarks."""

import pytest

from accounts.authentication.api_keys import principal_of
from accounts.services import api_keys
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db


def test_a_remembered_key_is_checked_without_a_query(make_user, django_assert_num_queries):
    owner = make_user(role="engineer")
    _, raw = api_keys.create(
        actor=SYSTEM, owner_id=owner.pk, label="CI", scopes=["reliability:read"]
    )
    assert principal_of(raw, "192.0.2.1") is not None

    with django_assert_num_queries(0):
        for _ in range(3):
            assert principal_of(raw, "192.0.2.1").owner_id == owner.pk
