"""Routes of reports, below /hb/."""

from django.urls import re_path

from reliability.pages import heartbeats

# One route for all that could hold an address, so that no other page or log line shows one.
urlpatterns = [
    re_path(r"^(?P<token>[^/]*)(?:/(?P<what>.*))?$", heartbeats.report, name="heartbeat"),
]
