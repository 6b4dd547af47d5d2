"""The path of the live feed, and what it may not be."""

import runpy

import pytest
from django.core.exceptions import ImproperlyConfigured

from opsplatform.env import Environment
from opsplatform.settings import notifications


@pytest.fixture
def read(monkeypatch):
    """Return a function that reads the settings with a path."""

    def read(path):
        environment = Environment({"WS_PATH": path})
        monkeypatch.setattr("opsplatform.env.ENV", environment)
        runpy.run_path(notifications.__file__)
        environment.refuse()

    return read


@pytest.mark.parametrize("path", ["/ws/notifications", "/live", "/a-b/c_d/e.f", "/administration"])
def test_a_path_of_its_own_is_used(read, path):
    read(path)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/ws",
        "/ws?x=1",
        "/ws#x",
        "/ws/",
        "/",
        "ws",
        "https://evil.example/ws",
        "/../ws",
        "/w s",
        "/wé",
        "/admin",
        "/admin/ws",
        "/api/ws",
        "/static/ws",
        "/healthz",
        "/readyz/ws",
    ],
)
def test_another_path_is_refused_at_the_start(read, path):
    with pytest.raises(ImproperlyConfigured, match="WS_PATH is not a path of its own"):
        read(path)
