"""Conditions on an answer, beyond its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES: Final = ("body", "json", "header", "latency_ms")
COMPARISONS: Final = (
    "contains",
    "not_contains",
    "equals",
    "not_equals",
    "less",
    "greater",
    "exists",
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """One condition: what of the answer, how it is compared, and with what.

    `path` is a JSON pointer (RFC 6901) for `json`, the name for `header`, else empty.
    """

    source: str
    comparison: str
    path: str = ""
    value: Any = None


def parse(given: Sequence[Any]) -> tuple[Assertion, ...]:
    """Read conditions as they are stored; raises ValueError in words for people."""
    return tuple(_parse_one(one) for one in given)


def _parse_one(one: object) -> Assertion:
    if not isinstance(one, dict) or not set(one) <= {"source", "comparison", "path", "value"}:
        message = "A condition has source, comparison, path and value."
        raise ValueError(message)
    source, comparison = one.get("source"), one.get("comparison")
    if source not in SOURCES:
        message = f"A source is one of {', '.join(SOURCES)}."
        raise ValueError(message)
    if comparison not in COMPARISONS:
        message = f"A comparison is one of {', '.join(COMPARISONS)}."
        raise ValueError(message)
    path = one.get("path", "")
    if not isinstance(path, str) or (source == "json" and path and not path.startswith("/")):
        message = "A JSON pointer is empty or begins with a slash, such as /status/db."
        raise ValueError(message)
    return Assertion(source, comparison, path, one.get("value"))
