"""Matchers: which alerts a route or a silence means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_MATCHERS: Final = 20
MOST_VALUES: Final = 50
VALUE_CHARACTERS: Final = 200
LABEL: Final = "label."
FIELDS: Final = ("kind", "severity", "status", "service")
"""What can be asked beside labels, which are written as label.<name>."""
SEVERITIES: Final = ("critical", "warning", "info")
STATUSES: Final = ("firing", "resolved", "info")
OPERATORS: Final[dict[str, str]] = {
    "=": "is",
    "!=": "is not",
    "in": "is one of",
    "not in": "is none of",
    "prefix": "begins with",
}
"""Operators, and how they read."""

_SINGLE: Final = ("=", "!=", "prefix")
_LABEL_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}")
_KNOWN: Final = {"severity": SEVERITIES, "status": STATUSES}


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What of an alert can be matched."""

    kind: str
    severity: str
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    dedup_key: str = ""
    status: str = "firing"

    def value(self, name: str) -> str:
        """Return a field, or a label by label.<name>; what an alert does not have is empty."""
        if name.startswith(LABEL):
            return str(self.labels.get(name.removeprefix(LABEL), ""))
        if name == "alert":
            return self.dedup_key
        return str(getattr(self, name)) if name in FIELDS else ""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one field."""

    field: str
    op: str
    values: tuple[str, ...]

    def matches(self, facts: AlertFacts) -> bool:
        """Tell whether an alert meets the condition."""
        value = facts.value(self.field)
        match self.op:
            case "=" | "in":
                return value in self.values
            case "!=" | "not in":
                return value not in self.values
            case _:
                return value.startswith(self.values[0])

    def stored(self) -> dict[str, object]:
        """Return it as routes and silences keep it."""
        return {"field": self.field, "op": self.op, "values": list(self.values)}

    def __str__(self) -> str:
        """Return it in words."""
        names = {"kind": "kind", "severity": "severity", "status": "status", "service": "service"}
        name = names.get(self.field) or f"label {self.field.removeprefix(LABEL)}"
        told = [value or "nothing" for value in self.values]
        listed = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} or {told[-1]}"
        return f"{name} {OPERATORS[self.op]} {listed}"


def parse(raw: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """Return the matchers that are meant; raises InvalidInputError that names each wrong line."""
    if len(raw) > MOST_MATCHERS:
        told = f"At most {MOST_MATCHERS} conditions."
        raise InvalidInputError(told, errors={"matchers": [told]})
    found: list[Matcher] = []
    errors: list[str] = []
    for number, line in enumerate(raw, start=1):
        try:
            found.append(_parse_one(line))
        except ValueError as error:
            errors.append(f"Line {number}: {error}")
    if errors:
        told = "Some conditions cannot be used."
        raise InvalidInputError(told, errors={"matchers": errors})
    return tuple(dict.fromkeys(found))


def matches(matchers: Iterable[Matcher], alert: AlertFacts) -> bool:
    """Tell whether an alert meets all of the conditions; without any, every alert does."""
    return all(matcher.matches(alert) for matcher in matchers)


def failing(matchers: Iterable[Matcher], alert: AlertFacts) -> Matcher | None:
    """Return the first condition that an alert does not meet."""
    return next((matcher for matcher in matchers if not matcher.matches(alert)), None)


def told(matchers: Sequence[Matcher]) -> str:
    """Return the conditions in words."""
    return " and ".join(map(str, matchers)) if matchers else "every alert"


def usable_group_by(names: Sequence[str]) -> list[str]:
    """Return by what alerts are gathered, each name once; raises InvalidInputError."""
    wanted = list(dict.fromkeys(str(name).strip() for name in names if str(name).strip()))
    wrong = [name for name in wanted if name != "alert" and not _is_field(name, grouping=True)]
    if wrong or len(wanted) > MOST_MATCHERS:
        said = (
            f"Alerts cannot be gathered by {', '.join(wrong)}. Use alert, kind, severity, service "
            "or label.<name>."
            if wrong
            else f"At most {MOST_MATCHERS} names."
        )
        raise InvalidInputError(said, errors={"group_by": [said]})
    # Beside the alert itself every other name would say nothing.
    return ["alert"] if "alert" in wanted else wanted


def _parse_one(line: Mapping[str, Any]) -> Matcher:
    if not hasattr(line, "get"):
        told = "write a field, an operator and values."
        raise ValueError(told)
    name, op = str(line.get("field", "")).strip(), str(line.get("op", "")).strip()
    if not _is_field(name):
        told = f"{name[:50]!r} is no field; use {', '.join(FIELDS)} or label.<name>."
        raise ValueError(told)
    if op not in OPERATORS:
        told = f"{op[:20]!r} is no operator; use {', '.join(OPERATORS)}."
        raise ValueError(told)
    values = _values(line.get("values"))
    if op in _SINGLE and len(values) != 1:
        told = f"{op} takes one value; use in or not in for several."
        raise ValueError(told)
    if op == "prefix" and not values[0]:
        told = "every text begins with nothing; write a value."
        raise ValueError(told)
    wrong = [value for value in values if op != "prefix" and value not in _KNOWN.get(name, values)]
    if wrong:
        told = f"{wrong[0][:50]!r} is no {name}; use {', '.join(_KNOWN[name])}."
        raise ValueError(told)
    return Matcher(name, op, values)


def _values(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple) or not given:
        told = "write at least one value."
        raise ValueError(told)
    if len(given) > MOST_VALUES:
        told = f"at most {MOST_VALUES} values."
        raise ValueError(told)
    values = tuple(dict.fromkeys(str(value).strip() for value in given))
    if any(len(value) > VALUE_CHARACTERS or not value.isprintable() for value in values):
        told = f"a value has at most {VALUE_CHARACTERS} printable characters."
        raise ValueError(told)
    return values


def _is_field(name: str, *, grouping: bool = False) -> bool:
    if name.startswith(LABEL):
        return _LABEL_NAME.fullmatch(name.removeprefix(LABEL)) is not None
    # How an alert stands changes within its thread.
    return name in FIELDS and not (grouping and name == "status")
