"""How records are shown: their words, their difference, their links to more of the same."""

from __future__ import annotations

import json
import re
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from audit.engine.payload import read
from core.actors import ActorKind
from core.components import when

if TYPE_CHECKING:
    from datetime import datetime

    from audit.models import AuditRecord

_NOTHING: Final = "-"
TONES: Final = {"allowed": "info", "denied": "bad", "error": "warn"}
_CAPITALS: Final = {
    word.lower(): word for word in ("API", "ID", "IP", "JWK", "MFA", "PEM", "TLS", "TOTP", "URL")
} | {"email": "e-mail"}
# What the page says in its own places.
_OWN: Final = frozenset({"before", "after"})


def timeline_url(**query: str) -> str:
    """Return where everything of one actor, target, session or request stands."""
    return f"{reverse('admin:audit_auditrecord_timeline')}?{urlencode(query)}"


def actor_link(row: AuditRecord) -> str:
    """Return the actor's name, leading to everything that they did."""
    url = timeline_url(actor_kind=row.actor_kind, actor=row.actor_key)
    return format_html('<a href="{}">{}</a>', url, row.actor_name)


def target_name(row: AuditRecord) -> str:
    """Return what was acted on, in words."""
    kind, name = _noun(row.target_type), row.target_name or row.target_id
    if kind and re.search(rf"\b{re.escape(kind)}\b", name, re.IGNORECASE):
        # "Browser session of admin" says already that it is a session.
        return name
    return f"{kind} {name}".strip()


def _noun(label: str) -> str:
    """Return the name of a kind of thing; a relation of a table keeps its own."""
    try:
        return capfirst(str(apps.get_model(label)._meta.verbose_name))
    except (LookupError, ValueError):
        return label.partition(".")[2].replace(".", " ")


def target_link(row: AuditRecord) -> str:
    """Return what was acted on, leading to everything that was done to it."""
    if not row.target_id:
        return target_name(row) or _NOTHING
    url = timeline_url(target_type=row.target_type, target=row.target_id)
    return format_html('<a href="{}">{}</a>', url, target_name(row))


def kind_of_actor(kind: str) -> str:
    """Return the kind of an actor in words."""
    words = {ActorKind.API_KEY: "API key", ActorKind.DATABASE: "Database"}
    return words.get(ActorKind(kind), capfirst(kind.replace("_", " "))) if kind in _KINDS else kind


_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})
_KINDS: Final = frozenset(kind.value for kind in ActorKind)


def moment(at: datetime) -> str:
    """Return a time relative to now, and beside it as it is: an inquiry compares moments."""
    utc = at.astimezone(UTC)
    told = f"{utc.day} {utc:%b %Y %H:%M:%S} UTC"
    # Without a script the first one is in UTC already.
    return format_html('{} <span class="quiet js-only">{}</span>', when(at), told)


def is_creation(row: AuditRecord) -> bool:
    """Tell whether the record says what something new is like, not what changed of it."""
    payload = read(row.payload)
    return bool(payload.get("after")) and not payload.get("before")


def difference(row: AuditRecord) -> list[tuple[str, str, str, str]]:
    """Return name, value before, value after and how it changed, of each field that did.

    What is empty in something new is left out: nobody has set it.
    """
    payload = read(row.payload)
    before, after = (payload.get(name) for name in ("before", "after"))
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    if not old:
        new = {name: value for name, value in new.items() if value not in _EMPTY}
    label = row.target_type
    return [
        (_label(name, label), _text(old.get(name, _NOTHING)), _text(new.get(name, _NOTHING)), how)
        for name in dict.fromkeys([*old, *new])
        if (how := _how(name, old, new))
    ]


def other_details(row: AuditRecord) -> list[tuple[str, str]]:
    """Return what else the record tells."""
    return [
        (_label(name, ""), _text(value))
        for name, value in read(row.payload).items()
        if name not in _OWN
    ]


def _how(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    if name not in old:
        return "added"
    if name not in new:
        return "removed"
    return "changed" if old[name] != new[name] else ""


@lru_cache(maxsize=1_024)
def _label(name: str, target: str) -> str:
    """Return the name of a field as its form calls it."""
    try:
        words = str(apps.get_model(target)._meta.get_field(name).verbose_name)
    except (LookupError, ValueError, FieldDoesNotExist, AttributeError):
        words = name.replace("_", " ")
    return capfirst(" ".join(_CAPITALS.get(word, word) for word in words.split()))


def _text(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ", ".join(str(item) for item in value) or "nothing"
    return json.dumps(value, ensure_ascii=False, indent=1)
