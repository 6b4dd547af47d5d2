"""Whole platforms and the servers they talk to."""

import subprocess
import sys

import pytest

from tests.support.platform import ROOT, Platform
from tests.support.receivers import Mail, Web


@pytest.fixture(scope="session", autouse=True)
def _static_files():
    """Collect the console's static files, as `make run` does."""
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(collect, cwd=ROOT, check=True)


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
