"""Files of checks: read as CSV or YAML with the line of each row, and written as either.

A row holds raw values: text as it stands, lists and objects; what a field makes of them is for the
service that takes them over. YAML is read without anchors, aliases and tags of its own: what a
small file can blow up into is never built.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Value: TypeAlias = Any
"""Text, None, a list, or an object; JSON values inside of lists and objects."""

MAX_BYTES: Final = 8_000_000
MAX_ROWS: Final = 20_000
MAX_PARTS: Final = 600_000
"""So many names, values, lists and objects a tree may have: each costs far more than its text."""
VERSION: Final = 1
_MAX_DEPTH: Final = 8
_SHOWN: Final = 40
_SERVICE: Final = "service_"
_HEARTBEAT: Final = "heartbeat_"
_FORMULA: Final = ("=", "+", "-", "@")
_BREAKS: Final = ("\t", "\r", "\n")
_PLAIN: Final = {
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null", "float", "timestamp")
}
_TRUE: Final = frozenset({"true", "yes", "on"})
_FALSE: Final = frozenset({"false", "no", "off"})
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,19}")
_BROKEN: Final = re.compile(r"[-+]?[0-9]{1,300}\.?[0-9]{0,300}(?:[eE][-+]?[0-9]{1,4})?")
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class UnreadableError(ValueError):
    """The file is not what it says; the message names the line where that is known."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file: a service, and mostly one of its checks."""

    line: int
    service: Mapping[str, Value]
    check: Mapping[str, Value] | None = None
    heartbeat: Mapping[str, Value] = field(default_factory=dict)


def text_of(content: bytes) -> str:
    """Return the text of a file; raises UnreadableError if it is too long or no text."""
    if len(content) > MAX_BYTES:
        message = f"The file is longer than {MAX_BYTES // 1_000_000} MB. Split it by services."
        raise UnreadableError(message)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "The file is not UTF-8 text. Save it with that encoding and try again."
        raise UnreadableError(message) from error
    if "\x00" in text:
        message = "The file holds NUL characters, which no text does."
        raise UnreadableError(message)
    return text


def read(text: str, form: str) -> list[Row]:
    """Return the rows of a file of the form csv or yaml; raises UnreadableError."""
    rows = []
    for row in read_csv(text) if form == "csv" else read_yaml(text):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            message = f"The file has more than {MAX_ROWS:,} rows. Split it by services."
            raise UnreadableError(message)
    if not rows:
        message = "The file names no service."
        raise UnreadableError(message)
    return rows


def read_csv(text: str) -> Iterator[Row]:
    """Read a table with the columns of `write_csv`; commas or semicolons divide it."""
    head = text.split("\n", 1)[0]
    divider = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if "service" not in names:
            message = "Line 1: the first line must name the columns, one of them “service”."
            raise UnreadableError(message)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = f"Line 1: the column “{twice[0]}” stands there twice."
            raise UnreadableError(message)
        begin = reader.line_num + 1
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if any(cell.strip() for cell in cells):
                yield _row_of(line, names, cells)
    except csv.Error as error:
        message = f"Line {reader.line_num}: {error}."
        raise UnreadableError(message) from error


def _row_of(line: int, names: list[str], cells: list[str]) -> Row:
    if len(cells) > len(names):
        message = f"Line {line} has {len(cells)} cells, but there are {len(names)} columns."
        raise UnreadableError(message)
    parts: dict[str, dict[str, Value]] = {_SERVICE: {}, _HEARTBEAT: {}, "": {}}
    for name, cell in zip(names, cells, strict=False):
        text = _unguarded(cell.strip())
        if not text or not name:
            # An empty cell changes nothing.
            continue
        if name == "service":
            parts[_SERVICE]["name"] = text
            continue
        prefix = next((one for one in (_SERVICE, _HEARTBEAT) if name.startswith(one)), "")
        parts[prefix][name.removeprefix(prefix)] = text
    has_check = bool(parts[""] or parts[_HEARTBEAT])
    return Row(line, parts[_SERVICE], parts[""] if has_check else None, parts[_HEARTBEAT])


def read_yaml(text: str) -> Iterator[Row]:
    """Read services with their checks, as `write_yaml` writes them."""
    try:
        _refuse_tricks(text)
        tree = yaml.compose(text, Loader=_LOADER)
        whole = _mapping(tree, "The file")
        _only(whole, {"version", "services"}, tree)
        version = _value(whole["version"]) if "version" in whole else VERSION
        if str(version) != str(VERSION):
            message = f"The file has version {version}; this platform reads version {VERSION}."
            raise UnreadableError(message)
        for node in _sequence(whole.get("services"), "“services”"):
            yield from _service_rows(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"Line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        message = f"{where}this is no YAML: {problem}."
        raise UnreadableError(message) from error


def _service_rows(node: Any) -> Iterator[Row]:  # noqa: ANN401  # a node of the parser
    parts = _mapping(node, "A service")
    checks = parts.pop("checks", None)
    service = {name: _value(part) for name, part in parts.items()}
    found = list(_sequence(checks, "“checks”")) if checks is not None else []
    if not found:
        yield Row(_line(node), service)
    for check in found:
        values = _mapping(check, "A check")
        rhythm = _mapping(values.pop("heartbeat"), "“heartbeat”") if "heartbeat" in values else {}
        yield Row(
            _line(check),
            service,
            {name: _value(part) for name, part in values.items()},
            {name: _value(part) for name, part in rhythm.items()},
        )


def _refuse_tricks(text: str) -> None:
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        line = event.start_mark.line + 1 if event.start_mark is not None else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            message = f"Line {line}: anchors and aliases are not read. Write the values out."
            raise UnreadableError(message)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if number > MAX_PARTS:
            message = f"The file has more than {MAX_PARTS:,} values. Split it by services."
            raise UnreadableError(message)
        if depth > _MAX_DEPTH:
            message = f"Line {line}: nothing here is nested so deep."
            raise UnreadableError(message)


def _mapping(node: Any, what: str) -> dict[str, Any]:  # noqa: ANN401  # a node of the parser
    if not isinstance(node, yaml.MappingNode):
        message = f"Line {_line(node)}: {what} must be an object of names and values."
        raise UnreadableError(message)
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            message = f"Line {_line(key)}: a name must be plain text."
            raise UnreadableError(message)
        if key.value in found:
            message = f"Line {_line(key)}: “{key.value}” stands there twice."
            raise UnreadableError(message)
        found[key.value] = value
    return found


def _sequence(node: Any, what: str) -> list[Any]:  # noqa: ANN401  # a node of the parser
    if not isinstance(node, yaml.SequenceNode):
        message = f"Line {_line(node)}: {what} must be a list."
        raise UnreadableError(message)
    return list(node.value)


def _only(found: Mapping[str, object], known: set[str], node: Any) -> None:  # noqa: ANN401  # a node of the parser
    if strange := sorted(set(found) - known):
        message = f"Line {_line(node)}: the file has no part “{strange[0]}”."
        raise UnreadableError(message)


def _line(node: Any) -> int:  # noqa: ANN401  # a node of the parser
    return int(node.start_mark.line) + 1 if node is not None else 1


def _value(node: Any, *, typed: bool = False) -> Value:  # noqa: ANN401  # a node of the parser
    """Return text as it was written; only inside of lists and objects numbers are numbers.

    So a name such as `404`, `on` or `1.10` needs no quotes.
    """
    if isinstance(node, yaml.SequenceNode):
        return [_value(part, typed=True) for part in node.value]
    if isinstance(node, yaml.MappingNode):
        return {name: _value(part, typed=True) for name, part in _mapping(node, "This").items()}
    if node.tag not in _PLAIN:
        message = f"Line {_line(node)}: the tag {node.tag} is not read."
        raise UnreadableError(message)
    if "\x00" in node.value:
        message = f"Line {_line(node)}: a NUL character is not read."
        raise UnreadableError(message)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if not typed or kind in {"str", "timestamp"}:
        return str(node.value)
    return _plain(node, kind)


def _plain(node: Any, kind: str) -> bool | float:  # noqa: ANN401  # a node of the parser
    """Return what JSON has, too; the text of a value is never read as a document of its own."""
    text = str(node.value)
    word = text.lower()
    if kind == "bool" and word in _TRUE | _FALSE:
        return word in _TRUE
    if kind == "int" and _WHOLE.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if kind == "float" and _BROKEN.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    message = f"Line {_line(node)}: “{shown}” is not read as a value; put text into quotes."
    raise UnreadableError(message)


def write_csv(rows: Iterable[Row], columns: tuple[str, ...]) -> Iterator[str]:
    """Write a table; no spreadsheet runs one of its cells as a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        values = {
            **{_column(name): value for name, value in row.service.items()},
            **(row.check or {}),
            **{f"{_HEARTBEAT}{name}": value for name, value in row.heartbeat.items()},
        }
        writer.writerow([_cell(values.get(name)) for name in columns])
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    if rest := out.getvalue():
        yield rest


def write_yaml(services: Iterable[Mapping[str, Value]]) -> Iterator[str]:
    """Write services with their checks, one after the other."""
    yield f"version: {VERSION}\nservices:\n"
    is_empty = True
    for service in services:
        is_empty = False
        yield yaml.dump(
            [dict(service)],
            Dumper=_DUMPER,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
            width=1_000,
        )
    if is_empty:
        yield "[]\n"


def _column(name: str) -> str:
    return "service" if name == "name" else f"{_SERVICE}{name}"


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    text = str(value)
    return f"'{text}" if _is_guarded(text) else text


def _unguarded(text: str) -> str:
    """Take back what `_cell` put before a text that looks like a formula."""
    rest = text[1:]
    return rest if text[:1] == "'" and _is_guarded(rest) else text


def _is_guarded(text: str) -> bool:
    """Tell whether a spreadsheet might run a text, or it looks as if it had been guarded."""
    # Spreadsheets look past white space of every kind.
    return text[:1] in _BREAKS or text.lstrip().startswith((*_FORMULA, "'"))
