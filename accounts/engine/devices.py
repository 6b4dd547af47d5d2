"""What a client is called, from what it says of itself."""

from __future__ import annotations

import re
from typing import Final

UNKNOWN: Final = "Unknown device"

# The first that fits: nearly every browser names others beside itself.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
# A program leads with its name: curl/8.5.0, python-requests/2.32.
_PROGRAM: Final = re.compile(r"([A-Za-z][\w.-]{0,39})(?:/|$)")


def name_of(device: str, user_agent: str) -> str:
    """Return what the client called itself at the sign-in, or what its user agent tells."""
    if device:
        return device
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if browser:
        return f"{browser} on {system}" if system else browser
    program = _PROGRAM.match(user_agent)
    if program is not None and program[1] != "Mozilla":
        return program[1]
    return f"Browser on {system}" if system else UNKNOWN


def _first(marks: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for mark, name in marks if mark in text), "")
