"""Conditions on an answer, beyond its status."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
MAX_PATH: Final = 200
MAX_VALUE: Final = 1_000

_NUMERIC: Final = frozenset({"less", "greater"})
_WORDS: Final = {
    "contains": "does not contain what is expected",
    "not_contains": "contains what it must not",
    "equals": "is not what is expected",
    "not_equals": "is what it must not be",
    "less": "is not less than {value}",
    "greater": "is not greater than {value}",
    "exists": "is missing",
}
_MISSING: Final = object()
_MOST: Final = 2**63


class _Unreadable(Exception):  # noqa: N818  # never leaves this module
    """The answer is not what a condition speaks of; carries the words for people."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One condition: what of the answer, how it is compared, and with what.

    `path` is a JSON pointer (RFC 6901) for `json`, the name for `header`, else empty.
    """

    source: str
    comparison: str
    path: str = ""
    value: Any = None

    @property
    def subject(self) -> str:
        """What of the answer the condition speaks of, in words."""
        if self.source == "json":
            return f"The value at {self.path}" if self.path else "The JSON document"
        if self.source == "header":
            return f"The header {self.path}"
        return "The latency" if self.source == "latency_ms" else "The body"


@dataclass(slots=True)
class Answer:
    """What conditions are judged by; JSON is read once, and only if one asks for it."""

    body: bytes
    headers: Mapping[str, str]
    latency_ms: float
    truncated: bool = False
    _document: Any = _MISSING

    def document(self) -> Any:  # noqa: ANN401  # JSON may be anything
        """Return the body as JSON."""
        if self._document is _MISSING:
            if self.truncated:
                message = f"The answer is longer than {len(self.body)} bytes: too long for JSON."
                raise _Unreadable(message)
            try:
                self._document = orjson.loads(self.body)
            except orjson.JSONDecodeError as error:
                message = "The answer is not JSON."
                raise _Unreadable(message) from error
        return self._document


def parse(given: Sequence[Any]) -> tuple[Assertion, ...]:
    """Read conditions as they are stored; raises ValueError in words for people."""
    return tuple(_parse_one(one) for one in given)


def is_storable(value: object) -> bool:
    """Tell whether every database keeps a value, and gives back the same."""
    if isinstance(value, str):
        return _is_text(value)
    if isinstance(value, dict):
        return all(is_storable(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(is_storable(part) for part in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and -_MOST <= value < _MOST)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def from_lines(text: str) -> list[dict[str, Any]]:
    """Read conditions as people write them, one a line, such as `json /db/state equals "ok"`.

    Raises ValueError in words for people, with the number of the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            one = _from_line(line.strip())
            try:
                _parse_one(one)
            except ValueError as error:
                message = f"Line {number}: {error}"
                raise ValueError(message) from error
            found.append(one)
    return found


def to_lines(given: Sequence[Mapping[str, Any]]) -> str:
    """Write conditions as people read them, one a line."""
    return "\n".join(
        " ".join(
            [
                one["source"],
                *([one["path"]] if one.get("path") else []),
                one["comparison"],
                *([json.dumps(one["value"], ensure_ascii=False)] if "value" in one else []),
            ]
        )
        for one in given
    )


def _from_line(line: str) -> dict[str, Any]:
    source, _, rest = line.partition(" ")
    one: dict[str, Any] = {"source": source}
    word, _, after = rest.strip().partition(" ")
    if source in {"json", "header"} and word not in COMPARISONS:
        one["path"] = word
        word, _, after = after.strip().partition(" ")
    one["comparison"] = word
    if value := after.strip():
        try:
            one["value"] = orjson.loads(value)
        except orjson.JSONDecodeError:
            # A plain word needs no quotes.
            one["value"] = value
    return one


def unmet(assertions: Sequence[Assertion], answer: Answer) -> str:
    """Return in words the first condition that does not hold, or an empty text.

    The words quote the condition and nothing of the answer: everybody reads them.
    """
    for assertion in assertions:
        try:
            if not _holds(assertion, _found(assertion, answer)):
                words = _WORDS[assertion.comparison].format(value=assertion.value)
                return f"{assertion.subject} {words}."
        except _Unreadable as error:
            return str(error)
    return ""


def resolve_pointer(document: Any, pointer: str) -> Any:  # noqa: ANN401  # JSON may be anything
    """Follow a JSON pointer (RFC 6901); raises LookupError where it leads nowhere."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document[name]
        elif isinstance(document, list):
            if not _is_index(name):
                raise LookupError(name)
            document = document[int(name)]
        else:
            raise LookupError(name)  # noqa: TRY004  # the answer is wrong, not the caller
    return document


def _is_index(name: str) -> bool:
    """Tell an index of an array: digits, without a leading zero, and of a sane length."""
    is_number = name.isascii() and name.isdecimal() and len(name) <= 9  # noqa: PLR2004  # an answer has fewer
    return is_number and (name == "0" or not name.startswith("0"))


def _found(assertion: Assertion, answer: Answer) -> Any:  # noqa: ANN401  # JSON may be anything
    if assertion.source == "latency_ms":
        return answer.latency_ms
    if assertion.source == "header":
        return answer.headers.get(assertion.path, _MISSING)
    if assertion.source == "json":
        try:
            return resolve_pointer(answer.document(), assertion.path)
        except LookupError:
            return _MISSING
    return answer.body.decode(errors="replace")


def _holds(assertion: Assertion, found: Any) -> bool:  # noqa: ANN401  # JSON may be anything
    comparison, value = assertion.comparison, assertion.value
    if comparison == "exists":
        # A value of null is there; an empty body is not.
        return found is not _MISSING and found != ""
    if comparison in {"not_contains", "not_equals"}:
        return found is _MISSING or not (
            _contains(found, value) if comparison == "not_contains" else _equals(found, value)
        )
    if found is _MISSING:
        return False
    if comparison == "contains":
        return _contains(found, value)
    if comparison == "equals":
        return _equals(found, value)
    number = _number(found)
    if number is None:
        return False
    return bool(number < value if comparison == "less" else number > value)


def _contains(found: Any, value: Any) -> bool:  # noqa: ANN401  # JSON may be anything
    if isinstance(found, str):
        return str(value) in found
    if isinstance(found, list):
        return any(_equals(item, value) for item in found)
    return isinstance(found, dict) and isinstance(value, str) and value in found


def _equals(found: Any, value: Any) -> bool:  # noqa: ANN401  # JSON may be anything
    if isinstance(found, str) and not isinstance(value, str):
        # A header says "200" where the condition says 200.
        number = _number(found)
        return number is not None and not isinstance(value, bool) and number == value
    # For Python, 1 is True; for JSON it is not.
    return isinstance(found, bool) is isinstance(value, bool) and bool(found == value)


def _number(found: Any) -> float | None:  # noqa: ANN401  # JSON may be anything
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        return None
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


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
    return Assertion(source, comparison, _path(source, one), _value(source, comparison, one))


def _path(source: str, one: dict[str, Any]) -> str:
    path = one.get("path", "")
    if not isinstance(path, str) or len(path) > MAX_PATH or not path.isprintable():
        message = f"A path is one line of at most {MAX_PATH} characters."
        raise ValueError(message)
    if source == "json" and path and not path.startswith("/"):
        message = "A JSON pointer is empty or begins with a slash, such as /status/db."
        raise ValueError(message)
    if source == "header" and not path.strip():
        message = "A condition on a header names it in path, such as Content-Type."
        raise ValueError(message)
    return path


def _value(source: str, comparison: str, one: dict[str, Any]) -> Any:  # noqa: ANN401  # JSON may be anything
    value = one.get("value")
    if comparison == "exists":
        return None
    if comparison in _NUMERIC or source == "latency_ms":
        if comparison not in _NUMERIC:
            message = "A latency is compared by less or greater."
            raise ValueError(message)
        number = _number(value) if not isinstance(value, str) else None
        if number is None:
            message = f"The comparison {comparison} needs a number as its value."
            raise ValueError(message)
        return value
    if value is None and "value" not in one:
        message = f"The comparison {comparison} needs a value."
        raise ValueError(message)
    if "contains" in comparison and value in ("", None):
        message = f"The comparison {comparison} needs a text that is not empty."
        raise ValueError(message)
    if len(str(value)) > MAX_VALUE:
        message = f"A value has at most {MAX_VALUE} characters."
        raise ValueError(message)
    if source == "body" and not isinstance(value, str):
        message = "A condition on the body compares with a text."
        raise ValueError(message)
    return value
