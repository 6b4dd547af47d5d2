"""What this process knows of who may do what: kept in memory, dropped by the feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models import Subquery
from django.db.models.functions import Coalesce

from accounts.engine.snapshots import Snapshot
from accounts.engine.standing import Standing
from accounts.models import AccessChange, Installation, RolePolicy, User
from accounts.roles import ADMIN
from core.feed import Feed
from core.memory import Memory

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


_snapshots: Final = Memory[UUID, Snapshot | None](most=_MOST_SNAPSHOTS)


def _drop(value: str) -> None:
    _snapshots.forget(UUID(value))


def _drop_all(_value: str = "") -> None:
    _snapshots.forget_all()


standing.listen(Kind.RIGHTS, _drop)
standing.listen(Kind.USER, _drop)
standing.listen(Kind.ROLES, _drop_all)
standing.listen(Kind.ALL, _drop_all)
standing.listen_to_restore(_drop_all)

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
    return _snapshots.of(user_id, lambda: _read(user_id))


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
    if is_superuser and ADMIN not in roles:
        # Who may do everything is asked for no less than an admin.
        asked = RolePolicy.objects.filter(group__name=ADMIN).first()
        if asked is not None:
            needs_mfa = needs_mfa or asked.mfa_required
            if asked.networks:
                networks[ADMIN] = tuple(asked.networks)
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
