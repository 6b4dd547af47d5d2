"""Feeds that tests write in processes of their own, and pages that note what they hear."""

from __future__ import annotations

import json

# Survives nothing but the page itself: whoever reloads has lost it.
_NOTE = """() => { window.heard = []; for (const name of ["event", "resync"])
  document.addEventListener(`ops:${name}`, ({detail}) => window.heard.push({name, ...detail})); }"""
_PUBLISH = """
import json
from accounts.models import User
from notifications.services import live
audience, kind, news = json.loads({given!r})
if audience == "me":
    audience = f"user:{{User.objects.get(username='admin').pk}}"
for data in news:
    print(live.publish(audience, kind, data))
"""


def note(page):
    """Let a page note every event from now on."""
    page.evaluate(_NOTE)


def heard(page, audience):
    """Return the numbers and kinds that the page has heard of one audience, in order."""
    told = page.evaluate("window.heard")
    return [
        (entry["seq"], entry["kind"])
        for entry in told
        if entry["name"] == "event" and entry["audience"] == audience
    ]


def publish(platform, audience, *titles, kind="alert", **fields):
    """Publish entries from a process of its own; return their numbers."""
    common = {"severity": "critical", "status": "firing", "service": "Shop", "url": "/admin/"}
    news = [{**common, "title": title, **fields} for title in titles]
    code = _PUBLISH.format(given=json.dumps([audience, kind, news]))
    told = platform.manage("shell", "-v0", "-c", code)
    return [int(line) for line in told.stdout.split()]
