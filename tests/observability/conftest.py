"""Fixtures for tests of what surrounds requests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from django.test import Client

from core.logs import encode

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Return the log lines that are written, parsed, as they come."""
    written: list[dict[str, Any]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(orjson.loads(encode(record)))

    keeper = Keeper()
    logging.getLogger().addHandler(keeper)
    yield written
    logging.getLogger().removeHandler(keeper)


@pytest.fixture
def web(settings: Any) -> Client:
    """Return a client of the platform with the views of these tests; failures are answered."""
    settings.ROOT_URLCONF = "tests.observability.urls"
    return Client(raise_request_exception=False)
