"""Dashboard keys: static, from ROLES_JSON and the keyring, each with a role (SPEC A7)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction

from accounts.actors import DashboardPrincipal, actor_for_key
from accounts.roles import ROLES
from accounts.selectors import access, dashboard_keys, networks
from accounts.services.networks import refused
from audit.services.records import record, record_refusal
from core import crypto, tracing, volatile

if TYPE_CHECKING:
    from accounts.selectors.dashboard_keys import DashboardKey

_AUDIT_SECONDS: Final = 60
_LONGEST_KEY: Final = 512


def find_dashboard_key(given: str, *, reading: bool = False) -> DashboardPrincipal | None:
    """Return the principal of a dashboard key; takes the same time whichever key matches.

    `reading` lets a request that changes nothing pass on what this process knows while it cannot
    learn more. Raises AddressRefusedError for a right key from outside the networks of its role.
    """
    if not given or len(given) > _LONGEST_KEY:
        return None
    digest = crypto.keyed_digest(settings.DASHBOARD_PEPPER, given)
    found: DashboardKey | None = None
    for key in dashboard_keys.known():
        # No early exit: all entries are compared, each in constant time. What stands in both
        # sources has the role of ROLES_JSON, which comes first.
        if hmac.compare_digest(key.digest, digest) and found is None:
            found = key
    if found is None or found.role not in ROLES:
        return None
    access.fresh(reading=reading)
    if dashboard_keys.is_denied(found.fingerprint):
        return None
    principal = DashboardPrincipal(
        fingerprint=found.fingerprint[: dashboard_keys.SHOWN], role=found.role
    )
    address = tracing.current().address
    if not networks.lists().allow_role(found.role, address):
        record_refusal(
            actor=actor_for_key(principal),
            action="address.refused",
            reason="The dashboard key's role may not be used from this network.",
        )
        raise refused(address)
    return principal


def stands(fingerprint: str, role: str, address: str) -> bool:
    """Tell whether a key that was verified before is still one, with that role, from there.

    For connections that stay open; in memory, as far as this process knows.
    """
    return (
        any(key.fingerprint == fingerprint and key.role == role for key in dashboard_keys.known())
        and not dashboard_keys.is_denied(fingerprint)
        and networks.lists().allow_role(role, address)
    )


def note_use(principal: DashboardPrincipal, path: str) -> None:
    """Write that a key was used, at most once a minute from each address."""
    # A key that polls would drown the audit log: one row a minute for each key and address.
    address = tracing.current().address
    if volatile.once(key=f"{principal.pk}@{address}", seconds=_AUDIT_SECONDS):
        with transaction.atomic():
            record(actor=actor_for_key(principal), action="dashboard_key.used", path=path)
