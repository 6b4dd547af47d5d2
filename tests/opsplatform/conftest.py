"""Fixtures for tests of the composition root."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.asgi import BRIDGES

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _end_threads() -> Iterator[None]:
    yield
    for bridge in list(BRIDGES):
        bridge.pool.close()
