"""Dashboard keys: those of ROLES_JSON, those of the keyring, and which are denied (SPEC A7)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.conf import settings

from accounts.models import AccessChange, DeniedDashKey
from accounts.roles import ROLES
from accounts.selectors.access import standing
from core import crypto
from core.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.keyring import Version

SECRET: Final = "DASHBOARD_KEY"  # noqa: S105  # the name of a secret of the keyring
_SECONDS: Final = 300.0
SHOWN: Final = 8
"""Digits of a fingerprint that name a key to people."""


@dataclass(frozen=True, slots=True)
class DashboardKey:
    """A key that the platform knows, by its digest alone."""

    digest: bytes
    role: str
    source: str
    """`ROLES_JSON` or `keyring`."""
    state: str = "current"
    """Of a key in the keyring: current, or previous while its grace period lasts."""

    @property
    def fingerprint(self) -> str:
        """Return the digest as it is stored."""
        return self.digest.hex()


class _Ring:
    def __init__(self) -> None:
        self.known: tuple[tuple[tuple[str, str], ...], tuple[DashboardKey, ...]] = ((), ())


_ring: Final = _Ring()
_denials: Final = Memory[None, dict[str, float]](seconds=_SECONDS)


def known() -> tuple[DashboardKey, ...]:
    """Return every key that may be tried; no query, and the keyring's file at most every 5 s."""
    return _from_settings() + from_keyring()


def _from_settings() -> tuple[DashboardKey, ...]:
    return tuple(
        DashboardKey(digest, role, "ROLES_JSON") for digest, role in settings.DASHBOARD_KEYS
    )


def from_keyring() -> tuple[DashboardKey, ...]:
    """Return the keys that rotation made; each has the role of the one that it replaced."""
    versions = settings.KEYRING.versions(SECRET)
    signature = tuple((version["value"], version["state"]) for version in versions)
    if signature != _ring.known[0]:
        _ring.known = (signature, _judged(versions))
    return _ring.known[1]


def _judged(versions: Sequence[Version]) -> tuple[DashboardKey, ...]:
    given = dict(settings.DASHBOARD_KEYS)
    found = []
    role = settings.OPS_DASHBOARD_KEY_ROLE
    for version in sorted(versions, key=lambda one: one["v"]):
        digest = crypto.keyed_digest(settings.DASHBOARD_PEPPER, version["value"])
        # The first version may be a key of ROLES_JSON that rotation took over, with its role.
        role = given.get(digest, role)
        if version["state"] in {"current", "previous"} and role in ROLES:
            found.append(DashboardKey(digest, role, "keyring", version["state"]))
    return tuple(found)


def is_denied(fingerprint: str) -> bool:
    """Tell whether a key is refused although its source still names it; no query when known."""
    since = _denied().get(fingerprint)
    return since is not None and since <= time.time()


def _denied() -> dict[str, float]:
    return _denials.of(None, _read_denied)


def _read_denied() -> dict[str, float]:
    return {
        fingerprint: not_before.timestamp()
        for fingerprint, not_before in DeniedDashKey.objects.values_list(
            "fingerprint", "not_before"
        )
    }


def denied_since(fingerprint: str) -> datetime | None:
    """Return from when on a key is refused, or None."""
    since = _denied().get(fingerprint)
    return datetime.fromtimestamp(since, UTC) if since is not None else None


def forget(_value: str = "") -> None:
    """Read anew which keys are denied, at the next question."""
    _denials.forget_all()


standing.listen(AccessChange.Kind.DASHBOARD_KEY, forget)
standing.listen_to_restore(forget)
