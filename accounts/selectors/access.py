"""What this process knows of who may do what: kept in memory, dropped by the feed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models import Subquery
from django.db.models.functions import Coalesce

from accounts.engine.snapshots import Snapshot
from accounts.engine.standing import Standing
from accounts.models import AccessChange, Installation, User
from core.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.feed import Row

Kind = AccessChange.Kind

_MOST_SNAPSHOTS: Final = 20_000

standing: Final = Standing()
"""What has ended. `fresh()` first, or it may be old."""


class _Follower:
    """Takes the rows of the feed into memory."""

    def restore(self, rows: Sequence[Row]) -> None:
        standing.restore((kind, value) for _, kind, value in rows)

    def apply(self, rows: Sequence[Row]) -> None:
        for _, kind, value in rows:
            standing.apply(kind, value)


class _Snapshots:
    """Snapshots of people; what was read before a change is never kept after it."""

    def __init__(self) -> None:
        self.known: dict[UUID, Snapshot] = {}
        self.drops = 0
        self._lock = threading.Lock()

    def drop(self, value: str) -> None:
        with self._lock:
            self.drops += 1
            self.known.pop(UUID(value), None)

    def drop_all(self, _value: str = "") -> None:
        with self._lock:
            self.drops += 1
            self.known.clear()

    def keep(self, snapshot: Snapshot, drops: int) -> None:
        with self._lock:
            if self.drops == drops:
                if len(self.known) >= _MOST_SNAPSHOTS:
                    self.known.clear()
                self.known[snapshot.user_id] = snapshot


_snapshots: Final = _Snapshots()
standing.listen(Kind.RIGHTS, _snapshots.drop)
standing.listen(Kind.USER, _snapshots.drop)
standing.listen(Kind.ROLES, _snapshots.drop_all)
standing.listen(Kind.ALL, _snapshots.drop_all)
standing.listen_to_restore(_snapshots.drop_all)

feed: Final = Feed(name="access", table=AccessChange._meta.db_table, follower=_Follower())


def fresh(*, reading: bool = False) -> None:
    """Make sure that what is known is at most a second old; raises UnavailableError."""
    feed.fresh(reading=reading)


def reset() -> None:
    """Forget everything and close what is open; for tests."""
    feed.close()
    standing.restore(())


def snapshot(user_id: UUID) -> Snapshot | None:
    """Return the person as they are now; no query while nothing has changed."""
    known = _snapshots.known.get(user_id)
    if known is not None:
        return known
    drops = _snapshots.drops
    read = _read(user_id)
    if read is not None:
        _snapshots.keep(read, drops)
    return read


def _read(user_id: UUID) -> Snapshot | None:
    generation = Subquery(Installation.objects.filter(pk=1).values("generation")[:1])
    person = (
        User.objects.filter(pk=user_id)
        .values_list(
            "username",
            "is_active",
            "is_staff",
            "is_superuser",
            "must_change_password",
            "epoch",
            Coalesce(generation, 1),
        )
        .first()
    )
    if person is None:
        return None
    username, is_active, is_staff, is_superuser, must_change, epoch, generation_now = person
    roles: set[str] = set()
    rights: set[str] = set()
    needs_mfa = False
    networks: dict[str, tuple[str, ...]] = {}
    held = Group.objects.filter(user=user_id).values_list(
        "name",
        "policy__mfa_required",
        "policy__networks",
        "permissions__content_type__app_label",
        "permissions__codename",
    )
    for name, mfa_required, allowed, app, codename in held:
        roles.add(name)
        rights.add(f"{app}.{codename}")
        needs_mfa = needs_mfa or bool(mfa_required)
        if allowed:
            networks[name] = tuple(allowed)
    own = User.user_permissions.through.objects.filter(user_id=user_id)
    for app, codename in own.values_list(
        "permission__content_type__app_label", "permission__codename"
    ):
        rights.add(f"{app}.{codename}")
    return Snapshot(
        user_id=user_id,
        username=username,
        is_active=is_active,
        is_staff=is_staff,
        is_superuser=is_superuser,
        must_change_password=must_change,
        epoch=f"{generation_now}.{epoch}",
        roles=frozenset(roles),
        permissions=frozenset(rights),
        mfa_required=needs_mfa,
        networks=tuple(networks[name] for name in sorted(networks)),
    )
