"""Routes of the public status page, below /status/."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path

from reliability.pages import status

urlpatterns: Final[list[URLPattern]] = [
    path("", status.page, name="status"),
    path("history/", status.history, name="status-history"),
    path("feed.atom", status.feed, name="status-feed"),
]
