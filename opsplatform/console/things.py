"""What the dashboard lists: problems, things to look at, and first steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.components import Tone


@dataclass(frozen=True)
class Problem:
    """Something is wrong; the text says how to mend it, and the link leads there."""

    tone: Tone
    title: str
    text: str = ""
    href: str = ""
    action: str = ""


@dataclass(frozen=True)
class Thing:
    """Something to look at when there is time."""

    tone: Tone
    word: str
    text: str
    href: str
    detail: str = ""


@dataclass(frozen=True)
class Step:
    """One of the first things to do on a new platform."""

    title: str
    text: str
    href: str
    action: str
    is_done: bool
