"""Retries spread out, listen to the receiver and come before the message expires."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from notifications.engine.backoff import jitter, next_try, parse_retry_after

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def draw(previous: float, seed: int = 1) -> float:
    random = Random(seed)  # noqa: S311  # reproducible, and nothing secret depends on it
    return jitter(previous_seconds=previous, random=random)


@pytest.mark.parametrize(
    ("previous", "least", "most"), [(0, 5, 15), (5, 5, 15), (20, 5, 60), (900, 5, 900)]
)
def test_wait_is_drawn_between_five_seconds_and_three_times_the_last(previous, least, most):
    drawn = [draw(previous, seed=seed) for seed in range(500)]

    assert least <= min(drawn) < least + (most - least) * 0.1
    assert most * 0.9 < max(drawn) <= most


def test_two_messages_that_fail_together_do_not_return_together():
    assert draw(60, seed=1) != draw(60, seed=2)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Fri, 20 Nov 2026 12:01:30 GMT", 90.0),
        ("Fri, 20 Nov 2026 12:01:30 -0000", 90.0),
        ("86400", 86400.0),
        ("999999999", 86400.0),
        ("Fri, 20 Nov 2099 12:00:00 GMT", 86400.0),
    ],
)
def test_retry_after_is_read_and_bounded(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "0",
        "-5",
        "1.5",
        "soon",
        "\uff11\uff12",
        "9" * 10,
        "Fri, 20 Nov 2026 11:59:59 GMT",
        "Fri, 99 Nov 2026 11:59:59 GMT",
        "\x00",
    ],
)
def test_garbage_and_the_past_are_ignored(value):
    assert parse_retry_after(value, now=NOW) is None


def test_next_try_is_after_the_wait():
    tomorrow = NOW + timedelta(days=1)

    assert next_try(now=NOW, wait_seconds=90, expires_at=tomorrow) == NOW + timedelta(seconds=90)


def test_last_try_comes_before_the_message_expires():
    end = NOW + timedelta(hours=1)

    assert next_try(now=NOW, wait_seconds=7200, expires_at=end) == end - timedelta(seconds=60)


def test_after_the_last_try_only_expiry_is_left():
    end = NOW + timedelta(seconds=30)

    assert next_try(now=NOW, wait_seconds=5, expires_at=end) == end
