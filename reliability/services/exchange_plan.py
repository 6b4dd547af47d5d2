"""What taking over a file would do: each row compared with what there is."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from reliability.models import Check, Heartbeat, Service
from reliability.selectors.exchange import (
    CHECK_FIELDS,
    HEARTBEAT_FIELDS,
    PARENTS,
    SERVICE_FIELDS,
    folded,
    name_of,
    references,
)
from reliability.services.dependencies import MOST_PARENTS
from reliability.services.exchange_values import RefusedError, clean, texts_of, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db import models

    from reliability.engine.exchange import Row

_AT_ONCE: Final = 500
_LONG: Final = 40
# Their values may hold a token.
_UNSHOWN: Final = frozenset({"url", "body"})


class Verdict(StrEnum):
    """What a file does to one service or check."""

    ADDED = "added"
    CHANGED = "changed"
    LEFT = "left"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of one service or check of the file."""

    number: int
    service: str
    check: str
    verdict: Verdict
    text: str = ""


@dataclass(slots=True)
class Act:
    """One change that a plan makes; `key` is 0 for what is yet to be added."""

    line: int
    service: str
    check: str
    key: int
    values: dict[str, Any]
    parents: list[str] | None = None


@dataclass(slots=True)
class Plan:
    """What taking over a file would do, line by line."""

    lines: list[Line] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many lines are added, changed, left and refused."""
        found = Counter(line.verdict for line in self.lines)
        return {verdict.value: found[verdict] for verdict in Verdict}

    @property
    def refused(self) -> list[Line]:
        """The lines that nothing can be made of; with any of them, nothing is taken over."""
        return [line for line in self.lines if line.verdict is Verdict.REFUSED]


def plan(rows: Sequence[Row]) -> Plan:
    """Return what taking over these rows would do; nothing is written."""
    return _Planner(rows).plan()


class _Planner:
    """Compares rows with what there is."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._made = Plan()
        names = {str(row.service.get("name") or "").strip().casefold() for row in rows}
        self._services = {
            service.name.casefold(): service
            for service in Service.objects.all()
            if service.name.casefold() in names
        }
        self._checks = self._known_checks()
        self._seen: dict[str, tuple[int, dict[str, Any]]] = {}
        self._bad: set[str] = set()
        self._taken: dict[tuple[str, str], int] = {}

    def plan(self) -> Plan:
        """Judge each row; parents are judged at the end, as they may stand further down."""
        for row in self._rows:
            self._judge(row)
        self._judge_parents()
        return self._made

    def _known_checks(self) -> dict[int, dict[str, list[Check]]]:
        found: dict[int, dict[str, list[Check]]] = defaultdict(lambda: defaultdict(list))
        keys = [service.pk for service in self._services.values()]
        for start in range(0, len(keys), _AT_ONCE):
            part = Check.objects.filter(service__in=keys[start : start + _AT_ONCE])
            rows = part.select_related("heartbeat", "service").defer("headers")
            for check in rows.prefetch_related("parents__service").order_by("pk"):
                found[check.service_id][folded(name_of(check))].append(check)
        return found

    def _judge(self, row: Row) -> None:
        name = str(row.service.get("name") or "").strip()
        check = ""
        try:
            self._judge_service(row, name)
            if row.check is not None:
                values, parents = _check_values(row)
                check = name_of(_new_check(values))
                self._judge_check(row, name, check, values, parents)
        except RefusedError as refused:
            line = Line(row.line, name, check, Verdict.REFUSED, str(refused))
            self._made.lines.append(line)

    def _judge_service(self, row: Row, name: str) -> None:
        if not name:
            message = "the service has no name"
            raise RefusedError(message)
        key = name.casefold()
        values = values_of(row.service, SERVICE_FIELDS, Service)
        if key in self._seen:
            if key in self._bad:
                message = f"its service was refused on line {self._seen[key][0]}"
                raise RefusedError(message)
            line, first = self._seen[key]
            for field_name, value in values.items():
                if field_name != "name" and first.get(field_name, value) != value:
                    message = f"{field_name} of the service differs from line {line}"
                    raise RefusedError(message)
            return
        self._seen[key] = (row.line, values)
        known = self._services.get(key)
        service = copy.copy(known) if known else Service()
        changed = _set(service, values)
        try:
            clean(service, exclude=())
        except RefusedError:
            self._bad.add(key)
            raise
        if known is None:
            self._add(Line(row.line, name, "", Verdict.ADDED), values)
        elif changed:
            text = _differences(known, changed)
            self._add(Line(row.line, name, "", Verdict.CHANGED, text), changed, known.pk)
        elif row.check is None:
            self._made.lines.append(Line(row.line, name, "", Verdict.LEFT))

    def _judge_check(
        self, row: Row, name: str, label: str, values: dict[str, Any], parents: list[str] | None
    ) -> None:
        place = (name.casefold(), folded(label))
        if place in self._taken:
            message = f"the same check stands on line {self._taken[place]}"
            raise RefusedError(message)
        self._taken[place] = row.line
        rhythm = values_of(row.heartbeat, HEARTBEAT_FIELDS, Heartbeat)
        service = self._services.get(place[0])
        found = self._checks[service.pk][place[1]] if service is not None else []
        if len(found) > 1:
            message = f"the service has {len(found)} checks of this name; give each its own first"
            raise RefusedError(message)
        known = found[0] if found else None
        check = copy.copy(known) if known else Check()
        changed = _set(check, values)
        _refuse_kinds(known, check, rhythm)
        clean(check, exclude=("service", "headers"))
        beat = _beat_of(known)
        beat = copy.copy(beat) if beat is not None else Heartbeat()
        turned = _set(beat, rhythm)
        if check.kind == Check.Kind.HEARTBEAT:
            clean(beat, exclude=("check_of", "token"))
        if known is None:
            given = {**values, **({"heartbeat": rhythm} if rhythm else {})}
            line = Line(row.line, name, label, Verdict.ADDED)
            self._add(line, given, parents=parents or None)
            return
        text = _differences(known, changed)
        if turned:
            text = ", ".join(filter(None, [text, _differences(_beat_of(known), turned)]))
        moved = _moved(known, parents)
        if moved:
            text = ", ".join(filter(None, [text, PARENTS]))
        if not text:
            self._made.lines.append(Line(row.line, name, label, Verdict.LEFT))
            return
        given = {**changed, **({"heartbeat": turned} if turned else {})}
        line = Line(row.line, name, label, Verdict.CHANGED, text)
        self._add(line, given, known.pk, parents if moved else None)

    def _add(
        self,
        line: Line,
        values: dict[str, Any],
        key: int = 0,
        parents: list[str] | None = None,
    ) -> None:
        self._made.lines.append(line)
        act = Act(line.number, line.service, line.check, key, values, parents)
        self._made.acts.append(act)

    def _judge_parents(self) -> None:
        wanted = [act for act in self._made.acts if act.parents]
        if not wanted:
            return
        # A check of the database goes by its key, one that is yet to be added by its name.
        nodes: dict[str, int | str] = dict(references())
        for act in self._made.acts:
            if act.check:
                name = folded(f"{act.service}: {act.check}")
                nodes.setdefault(name, name)
        above: dict[int | str, set[int | str]] = defaultdict(set)
        for check, parent in Check.parents.through.objects.values_list("from_check", "to_check"):
            above[check].add(parent)
        for act in self._made.acts:
            if act.parents is not None:
                named = {nodes.get(folded(name), "") for name in act.parents}
                above[nodes[folded(f"{act.service}: {act.check}")]] = named
        for act in wanted:
            node = nodes[folded(f"{act.service}: {act.check}")]
            if text := _why_not(act.parents or [], node, nodes, above):
                line = Line(act.line, act.service, act.check, Verdict.REFUSED, text)
                self._made.lines.append(line)


def _why_not(
    parents: Sequence[str],
    node: int | str,
    nodes: Mapping[str, int | str],
    above: Mapping[int | str, set[int | str]],
) -> str:
    """Return why a check cannot have these parents; empty where it can."""
    if missing := [name for name in parents if folded(name) not in nodes]:
        return f"there is no parent “{missing[0]}”; write “service: check”"
    if len({folded(name) for name in parents}) > MOST_PARENTS:
        return f"there are more than {MOST_PARENTS} parents"
    seen: set[int | str] = set()
    edge = {nodes[folded(name)] for name in parents}
    while edge:
        seen |= edge
        edge = set().union(*(above.get(one, set()) for one in edge)) - seen
    return "it would depend on itself: one of its parents depends on it" if node in seen else ""


def _check_values(row: Row) -> tuple[dict[str, Any], list[str] | None]:
    given = dict(row.check or {})
    if "headers" in given:
        message = "headers are secrets and stand in no file; set them on the check itself"
        raise RefusedError(message)
    parents = given.pop(PARENTS, None)
    named = None if parents is None else texts_of(PARENTS, parents)
    if row.heartbeat:
        given.setdefault("kind", Check.Kind.HEARTBEAT.value)
    return values_of(given, CHECK_FIELDS, Check), named


def _new_check(values: Mapping[str, Any]) -> Check:
    check = Check()
    _set(check, values)
    return check


def _beat_of(check: Check | None) -> Heartbeat | None:
    return getattr(check, "heartbeat", None) if check is not None else None


def _refuse_kinds(known: Check | None, check: Check, rhythm: Mapping[str, Any]) -> None:
    is_beat = check.kind == Check.Kind.HEARTBEAT
    if known is not None and (known.kind == Check.Kind.HEARTBEAT) != is_beat:
        message = "a heartbeat stays one, and nothing else becomes one"
        raise RefusedError(message)
    if rhythm and not is_beat:
        message = "only a check of the kind heartbeat has a rhythm"
        raise RefusedError(message)
    beat = _beat_of(known)
    if beat is not None and beat.job:
        message = "the platform's own jobs register themselves"
        raise RefusedError(message)
    if is_beat and not check.name:
        message = "a heartbeat needs a name"
        raise RefusedError(message)


def _moved(known: Check, parents: list[str] | None) -> bool:
    if parents is None:
        return False
    now = {folded(f"{one.service.name}: {name_of(one)}") for one in known.parents.all()}
    return now != {folded(name) for name in parents}


def _set(row: models.Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set the values on a row that is not saved, and return those that differ."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in values.items():
        setattr(row, name, value)
    return changed


def _differences(row: models.Model | None, changed: Mapping[str, Any]) -> str:
    parts = []
    for name, value in changed.items():
        old, new = str(getattr(row, name, "")), str(value)
        is_shown = name not in _UNSHOWN and len(old) + len(new) <= _LONG
        parts.append(f"{name} {old or '-'} → {new or '-'}" if is_shown else name)
    return ", ".join(parts)
