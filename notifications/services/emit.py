"""The one way in: every alert of every app is raised here."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from core.errors import InvalidInputError
from core.masking import HIDDEN, is_sensitive, mask
from notifications.engine.base import single_line, storable
from notifications.models import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.actors import Actor

KIND_CHARACTERS: Final = 100
KEY_CHARACTERS: Final = 200
TITLE_CHARACTERS: Final = 300
NAME_CHARACTERS: Final = 200
BODY_CHARACTERS: Final = 8_000
LABEL_CHARACTERS: Final = 200
LINK_CHARACTERS: Final = 2_000
MOST_LABELS: Final = 32


def emit(
    *,
    actor: Actor,
    kind: str,
    severity: str,
    status: str,
    dedup_key: str,
    transition_seq: int,
    title: str,
    body: str = "",
    service: str = "",
    labels: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    suppressed_by: str = "",
) -> Event:
    """Record one transition inside the caller's transaction; people are told after it commits.

    One INSERT: no routing, no lock on shared rows, no network, so that no channel can break the
    state change that raises the alert. Raising (dedup_key, transition_seq) again returns the event
    that is already there. Texts are made storable, masked and cut, never refused, since they quote
    strangers. What the caller's code chooses is refused when wrong: raises InvalidInputError.
    """
    _refuse_wrong_code(kind, severity, status, dedup_key, transition_seq)
    event = Event(
        kind=kind,
        severity=severity,
        status=status,
        dedup_key=dedup_key,
        transition_seq=transition_seq,
        title=_line(title, TITLE_CHARACTERS) or kind,
        body=_safe(body, BODY_CHARACTERS),
        service=_line(service, NAME_CHARACTERS),
        labels=_safe_labels(labels or {}),
        links=_safe_links(links or {}),
        suppressed_by=_line(suppressed_by, NAME_CHARACTERS),
        raised_by=_line(actor.name, NAME_CHARACTERS),
    )
    # ON CONFLICT DO NOTHING leaves the caller's transaction intact where an error would end it.
    Event.objects.bulk_create([event], ignore_conflicts=True)
    return Event.objects.get(dedup_key=dedup_key, transition_seq=transition_seq)


def _refuse_wrong_code(
    kind: str, severity: str, status: str, dedup_key: str, transition_seq: int
) -> None:
    errors: dict[str, list[str]] = {}
    if not 0 < len(kind) <= KIND_CHARACTERS or not kind.isprintable():
        errors["kind"] = [f"A kind has 1 to {KIND_CHARACTERS} printable characters."]
    if severity not in Event.Severity.values:
        errors["severity"] = [f"One of {', '.join(Event.Severity.values)}."]
    if status not in Event.Status.values:
        errors["status"] = [f"One of {', '.join(Event.Status.values)}."]
    if not 0 < len(dedup_key) <= KEY_CHARACTERS or not dedup_key.isprintable():
        errors["dedup_key"] = [f"A key has 1 to {KEY_CHARACTERS} printable characters."]
    if not 0 <= transition_seq < 2**63:
        errors["transition_seq"] = ["A whole number from 0."]
    if errors:
        message = "The alert cannot be raised like this."
        raise InvalidInputError(message, errors=errors)


def _safe(text: str, limit: int) -> str:
    # The margin lets a secret that crosses the cut still be recognised.
    return storable(mask(storable(text, limit=limit * 4)), limit=limit)


def _line(text: str, limit: int) -> str:
    return single_line(_safe(text, limit * 4), limit=limit)


def _safe_labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {
        _name(name): HIDDEN if is_sensitive(name) else _safe(str(value), LABEL_CHARACTERS)
        for name, value in islice(labels.items(), MOST_LABELS)
    }


def _safe_links(links: Mapping[str, str]) -> dict[str, str]:
    # A cut link leads nowhere, so a longer one is left out.
    return {
        _name(name): _safe(url, LINK_CHARACTERS)
        for name, url in islice(links.items(), MOST_LABELS)
        if len(url) <= LINK_CHARACTERS
    }


def _name(text: str) -> str:
    return single_line(storable(text, limit=LABEL_CHARACTERS), limit=LABEL_CHARACTERS)
