"""API keys: who holds one, without a query while it is remembered (SPEC A6)."""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import Error, connection

from accounts.actors import APIKeyPrincipal
from accounts.engine import key_format
from accounts.engine.networks import allows
from accounts.models import APIKey
from accounts.selectors import access, api_keys
from accounts.services import api_keys as services
from accounts.services.networks import refused
from audit.services.records import record_refusal
from core import crypto
from core.actors import SYSTEM, Actor, ActorKind

if TYPE_CHECKING:
    from accounts.engine.snapshots import Snapshot
    from accounts.selectors.api_keys import KnownKey
    from core.keyring import Version

logger = logging.getLogger(__name__)


def principal_of(raw: str, address: str, *, reading: bool = False) -> APIKeyPrincipal | None:
    """Return who holds the key, or None for whatever is no valid key of an active person.

    `reading` lets a request that changes nothing pass on what this process knows while it cannot
    learn more. Raises AddressRefusedError for a valid key from a network that it may not be used
    from.
    """
    # A mistyped or invented key does not cost a look-up.
    key_id = key_format.key_id_of(raw)
    if key_id is None:
        return None
    access.fresh(reading=reading)
    known = api_keys.find(key_id)
    if known is None or not _is_right(known, raw):
        return None
    owner = _owner(known)
    if owner is None:
        return None
    if not _may_come_from(known, owner, address):
        record_refusal(
            actor=Actor(ActorKind.API_KEY, known.key_id, f"{known.label} (API key)"),
            action="address.refused",
            reason="The API key may not be used from this network.",
            key=f"apikey/{known.key_id}",
        )
        raise refused(address)
    uses.note(key_id, address)
    return _principal(known, owner)


def standing_principal(key_id: str, address: str) -> APIKeyPrincipal | None:
    """Return the holder of a key that was verified before, as it stands now; None once it ended.

    For connections that stay open: None too once the key may not be used from there any more.
    """
    known = api_keys.find(key_id)
    owner = _owner(known) if known is not None else None
    if known is None or owner is None or not _may_come_from(known, owner, address):
        return None
    return _principal(known, owner)


class _Peppers:
    """The peppers by their ids, as long as the keyring's file is the same."""

    def __init__(self) -> None:
        self._versions: list[Version] | None = None
        self._by_id: dict[str, bytes] = {}
        self.current = ""

    def of(self, pepper_id: str) -> bytes | None:
        """Return the pepper of that id while it is valid."""
        versions = settings.KEYRING.versions(services.PEPPER)
        if versions is not self._versions:
            valid = settings.KEYRING.all_valid(services.PEPPER)
            self._by_id = {crypto.key_id(pepper): pepper.encode() for pepper in valid}
            self.current = crypto.key_id(valid[0]) if valid else ""
            self._versions = versions
        return self._by_id.get(pepper_id)


_peppers: Final = _Peppers()


def _is_right(known: KnownKey, raw: str) -> bool:
    pepper = _peppers.of(known.pepper_id)
    if pepper is None:
        return False
    right = hmac.compare_digest(hmac.digest(pepper, raw.encode(), "sha256"), known.digest)
    if right and known.pepper_id != _peppers.current:
        # The pepper was rotated, and only now the key can be seen again.
        row = APIKey.objects.get(key_id=known.key_id)
        services.reseal(actor=SYSTEM, key=row, raw=raw)
    return right


def _owner(known: KnownKey) -> Snapshot | None:
    """Return the active owner of a key that works."""
    if known.revoked or known.expires_at <= time.time():
        return None
    owner = access.snapshot(known.owner_id)
    return owner if owner is not None and owner.is_active else None


def _principal(known: KnownKey, owner: Snapshot) -> APIKeyPrincipal:
    return APIKeyPrincipal(
        key_id=known.key_id,
        label=known.label,
        owner_id=known.owner_id,
        granted=known.granted,
        rights=owner.permissions,
        owner_is_superuser=owner.is_superuser,
    )


def _may_come_from(known: KnownKey, owner: Snapshot, address: str) -> bool:
    """Judge the address by the key's list and by those of its owner's roles.

    The owner writes the first, so it may only narrow the others.
    """
    return allows(known.networks, address) and all(
        allows(networks, address) for networks in owner.networks
    )


class Uses:
    """When keys were last used, written together; a crash loses at most a minute of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, tuple[float, str]] = {}
        self._timer: threading.Timer | None = None

    def note(self, key_id: str, address: str) -> None:
        """Remember a use; the first one after a writing sets the clock for the next."""
        self._noted[key_id] = (time.time(), address)
        if self._timer is None:
            self._begin()

    def write(self) -> None:
        """Write what was noted since the last time."""
        with self._lock:
            noted, self._noted = self._noted, {}
            self._timer = None
        if noted:
            services.write_uses(noted)

    def forget(self) -> None:
        """Begin anew in a process that was forked: the timer did not come along."""
        self._lock = threading.Lock()
        self._noted, self._timer = {}, None

    def _begin(self) -> None:
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(settings.API_KEY_USE_SECONDS, self._write_apart)
                self._timer.daemon = True
                self._timer.start()

    def _write_apart(self) -> None:
        # A failure loses only when keys were last used; the next minute writes again.
        try:
            self.write()
        except Error as error:
            logger.warning("When API keys were last used was not written (%s).", error)
        finally:
            connection.close()


uses: Final = Uses()
os.register_at_fork(after_in_child=uses.forget)
