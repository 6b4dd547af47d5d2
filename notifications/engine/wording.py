"""What a message says, in words: shared by every kind of channel that people read."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from string import Template
from typing import TYPE_CHECKING, Final

from notifications.engine.base import ACKNOWLEDGE, Message, single_line, storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPEAT_NOTE: Final = "This may be a repeat: an earlier attempt ended without an answer."
TEMPLATE_CHARACTERS: Final = 4_000
ELLIPSIS: Final = "…"

# More would push out what happened.
_MOST_LABELS: Final = 10
_MOST_NAMED: Final = 5
_LONGEST_VALUE: Final = 200
# A template may name what is long several times over; more than this no channel takes anyway.
_LONGEST_TEXT: Final = 64_000


class MessageTemplate(Template):
    """A text with names such as $title or ${label.team}; it knows no logic that could go wrong."""

    idpattern = r"[a-z]+"
    braceidpattern = r"[a-z]+(?:\.[A-Za-z0-9_.-]+)?"
    flags = re.NOFLAG


class BadTemplateError(ValueError):
    """A template cannot be used; the message says why."""


def standing(message: Message) -> str:
    """Return how things stand, in one word: a severity, or that it is over, taken on or a test."""
    if message.reason in {"test", "acknowledged"}:
        return message.reason
    return message.severity if message.status == "firing" else message.status


def headline(message: Message, *, limit: int) -> str:
    """Return the first line, which says how things stand before it says what happened."""
    return single_line(f"[{standing(message).upper()}] {message.title}", limit=limit)


def text_of(message: Message, *, template: str = "", uncertain: bool = False) -> str:
    """Return the text below the headline.

    A template replaces the built-in words. One that fails or says nothing is left aside: a bad
    template never loses an alert.
    """
    with contextlib.suppress(BadTemplateError):
        if template and (text := filled(template, message)).strip():
            return _with_note(text, uncertain=uncertain)
    paragraphs = [
        storable(part, limit=_LONGEST_TEXT)
        for part in (message.note, message.body, "\n".join(alert_lines(message)))
        if part.strip()
    ]
    paragraphs.append("\n".join(f"{name}: {value}" for name, value in facts(message)))
    return _with_note("\n\n".join(paragraphs), uncertain=uncertain)


def filled(template: str, message: Message) -> str:
    """Return the template with this message's values; raises BadTemplateError."""
    found = _names(template)
    values = dict(_values(message))
    unknown = sorted(name for name in found if name not in values and not _is_label(name))
    if unknown:
        told = ", ".join(f"${name}" for name in unknown[:_MOST_NAMED])
        known = ", ".join(f"${name}" for name in values)
        problem = f"There is no {told}. There are {known} and ${{label.NAME}}."
        raise BadTemplateError(problem)
    # A label that an alert does not have is left empty.
    labels = {name: message.labels.get(name.removeprefix("label."), "") for name in found}
    return storable(MessageTemplate(template).substitute(labels | values), limit=_LONGEST_TEXT)


def check_template(template: str) -> None:
    """Judge a template before it is stored; raises BadTemplateError."""
    if len(template) > TEMPLATE_CHARACTERS:
        problem = f"A template has at most {TEMPLATE_CHARACTERS:,} characters."
        raise BadTemplateError(problem)
    filled(template, _EXAMPLE)


def alert_lines(message: Message) -> Iterator[str]:
    """Return a line for each alert of a message that tells of several, and how many more."""
    for alert in message.alerts:
        stands = alert.get("severity", "") if alert.get("status") == "firing" else "resolved"
        since = f", since {moment(alert['since'])}" if alert.get("since") else ""
        line = f"- {stands.upper()}: {alert.get('title', '')}{since}"
        yield single_line(line, limit=_LONGEST_VALUE)
    more = message.firing + message.resolved - len(message.alerts)
    if message.alerts and more > 0:
        yield f"- and {more:,} more"


def facts(message: Message) -> Iterator[tuple[str, str]]:
    """Return what is known beside the text, as pairs of name and value."""
    if message.service:
        yield "Service", single_line(message.service, limit=_LONGEST_VALUE)
    if message.alerts:
        yield "Alerts", f"{message.firing:,} firing, {message.resolved:,} resolved"
    yield "Time", moment(message.occurred_at)
    for name, value in list(message.labels.items())[:_MOST_LABELS]:
        yield (
            single_line(name, limit=_LONGEST_VALUE),
            single_line(value, limit=_LONGEST_VALUE),
        )


def links(message: Message) -> list[tuple[str, str]]:
    """Return the links that lead to the web, acknowledgement last: others must stay text."""
    usable = [
        (single_line(name, limit=_LONGEST_VALUE), url)
        for name, url in message.links.items()
        if is_web(url)
    ]
    return sorted(usable, key=lambda link: link[0] == ACKNOWLEDGE)


def links_within(
    message: Message, *, limit: int, size: Callable[[str, str], int]
) -> list[tuple[str, str]]:
    """Return as many links as fit, that to acknowledge in any case; `size` measures one of them."""
    found = links(message)
    room = limit - sum(size(*link) for link in found if link[0] == ACKNOWLEDGE)
    kept = []
    for link in found:
        if link[0] != ACKNOWLEDGE:
            if size(*link) > room:
                continue
            room -= size(*link)
        kept.append(link)
    return kept


def main_link(message: Message) -> str:
    """Return where the whole story stands; empty if nowhere."""
    return next((url for name, url in links(message) if name != ACKNOWLEDGE), "")


def is_web(url: str) -> bool:
    """Tell whether a link may be made of it: "javascript:" must stay text."""
    fits = url.startswith(("https://", "http://")) and url.isprintable()
    return fits and not any(mark in url for mark in ' "<>|\\^`{}')


def moment(iso: str) -> str:
    """Return a stored moment as people read it, in UTC."""
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if parsed.tzinfo else iso


def fit(
    text: str,
    *,
    limit: int,
    measure: Callable[[str], int] = len,
    escape: Callable[[str], str] = str,
    tail: str = "",
) -> str:
    """Return the escaped text, cut so that it measures at most `limit`.

    What was cut ends with an ellipsis and the `tail`, which is escaped already. It is cut before it
    is escaped, so that no escape is torn apart.
    """
    # No character measures less than one, so that nothing beyond this has to be looked at.
    is_short = len(text) <= limit
    text = text[: limit + 1]
    whole = escape(text)
    if is_short and measure(whole) <= limit:
        return whole
    ending = f"{ELLIPSIS}{tail}"
    if measure(ending) > limit:
        ending = ELLIPSIS
    fits, beyond = 0, len(text)
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if measure(escape(text[:middle].rstrip()) + ending) <= limit:
            fits = middle
        else:
            beyond = middle
    return escape(text[:fits].rstrip()) + ending


def utf16(text: str) -> int:
    """Measure as providers do whose own language counts in units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def utf8(text: str) -> int:
    """Measure in bytes."""
    return len(text.encode())


def _with_note(text: str, *, uncertain: bool) -> str:
    return f"{text}\n\n{REPEAT_NOTE}" if uncertain else text


def _is_label(name: str) -> bool:
    return name.startswith("label.")


def _names(template: str) -> set[str]:
    names: set[str] = set()
    for found in MessageTemplate.pattern.finditer(template):
        if found["invalid"] is not None:
            line = template.count("\n", 0, found.start()) + 1
            problem = f"Line {line} has a $ without a name; write $$ for a plain one."
            raise BadTemplateError(problem)
        if name := found["named"] or found["braced"]:
            names.add(name)
    return names


def _values(message: Message) -> Mapping[str, str]:
    return {
        "title": message.title,
        "body": message.body,
        "note": message.note,
        "standing": standing(message),
        "severity": message.severity,
        "status": message.status,
        "service": message.service,
        "kind": message.kind,
        "reason": message.reason,
        "time": moment(message.occurred_at),
        "firing": str(message.firing),
        "resolved": str(message.resolved),
        "alerts": "\n".join(alert_lines(message)),
        "link": main_link(message),
    }


_EXAMPLE: Final = Message(
    kind="",
    severity="",
    status="",
    title="",
    body="",
    service="",
    labels={},
    links={},
    dedup_key="",
    seq=0,
    occurred_at="",
    reason="",
)
