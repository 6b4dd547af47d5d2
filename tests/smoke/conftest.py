"""Whole platforms and the servers they talk to."""

import pytest

from tests.support.platform import Platform
from tests.support.receivers import Mail, Web


@pytest.fixture
def platform(tmp_path):
    """Return a function that starts a platform with variables of its own."""
    started = []

    def start(**variables):
        made = Platform(tmp_path / "data", **variables)
        started.append(made)
        made.start()
        return made

    yield start
    for made in started:
        made.kill()


@pytest.fixture
def service():
    """Return a running HTTP service."""
    web = Web()
    yield web
    web.stop()


@pytest.fixture
def hook():
    """Return a receiver of webhooks."""
    web = Web()
    yield web
    web.stop()


@pytest.fixture
def mail():
    """Return a mail server."""
    server = Mail()
    yield server
    server.stop()
