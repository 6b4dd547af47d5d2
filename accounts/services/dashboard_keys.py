"""Deny dashboard keys, and make the text of new ones (SPEC A7)."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from accounts.models import AccessChange, DeniedDashKey
from accounts.roles import ROLES
from accounts.selectors import dashboard_keys as remembered
from accounts.services.revocation import tell
from audit.services.acts import audited
from audit.services.records import record
from core.errors import InvalidInputError, InvalidTransitionError, NotFoundError

if TYPE_CHECKING:
    from datetime import datetime

    from core.actors import Actor

_FINGERPRINT: Final = re.compile("[0-9a-f]{64}", re.ASCII)
_BYTES: Final = 36


@audited
def deny(
    *, actor: Actor, fingerprint: str, reason: str, not_before: datetime | None = None
) -> DeniedDashKey:
    """Refuse a key from now or a later moment on, although its source still names it."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        message = "A dashboard key is named by the 64 digits of its fingerprint."
        raise InvalidInputError(message)
    since = not_before or timezone.now()
    known = DeniedDashKey.objects.select_for_update().filter(pk=fingerprint).first()
    if known is not None and known.not_before <= since:
        message = "This key is refused already."
        raise InvalidTransitionError(message)
    denied, _ = DeniedDashKey.objects.update_or_create(
        pk=fingerprint, defaults={"not_before": since, "reason": reason[:200]}
    )
    record(
        actor=actor,
        action="dashboard_key.denied",
        target=denied,
        reason=reason,
        after={"not_before": since.isoformat(timespec="seconds")},
    )
    _tell(actor, fingerprint, "The dashboard key is refused.")
    return denied


@audited
def allow(*, actor: Actor, fingerprint: str, reason: str) -> None:
    """Accept a key again that was refused by mistake."""
    denied = DeniedDashKey.objects.select_for_update().filter(pk=fingerprint).first()
    if denied is None:
        message = "This key is not refused."
        raise NotFoundError(message)
    before = {"not_before": denied.not_before.isoformat(timespec="seconds")}
    record(actor=actor, action="dashboard_key.allowed", target=denied, reason=reason, before=before)
    denied.delete()
    _tell(actor, fingerprint, "The dashboard key is accepted again.")


def make(role: str) -> tuple[str, str]:
    """Return a random key, and the entry that stands for it in ROLES_JSON.

    The platform keeps neither: the key begins to work when it stands in the environment.
    """
    if role not in ROLES:
        message = "There is no such role."
        raise InvalidInputError(message, errors={"role": [message]})
    key = secrets.token_urlsafe(_BYTES)
    return key, json.dumps({key: role})


def _tell(actor: Actor, fingerprint: str, reason: str) -> None:
    remembered.forget()
    tell(kind=AccessChange.Kind.DASHBOARD_KEY, value=fingerprint, actor=actor, reason=reason)
