"""Django's authentication, with rights from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.backends import ModelBackend

from accounts.models import User
from accounts.selectors import access

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.engine.snapshots import Snapshot


class SnapshotBackend(ModelBackend):
    """Answers what a person may do from the snapshot: no query while nothing has changed."""

    def get_all_permissions(
        self,
        user_obj: Any,  # noqa: ANN401  # Django's types are its own
        obj: object = None,
    ) -> set[str]:
        found = _snapshot_of(user_obj)
        return set(found.permissions) if found is not None and obj is None else set()

    def has_perm(
        self,
        user_obj: Any,  # noqa: ANN401  # Django's types are its own
        perm: str,
        obj: object = None,
    ) -> bool:
        found = _snapshot_of(user_obj)
        return found is not None and obj is None and perm in found.permissions

    def has_module_perms(self, user_obj: User | AnonymousUser, app_label: str) -> bool:
        found = _snapshot_of(user_obj)
        prefix = f"{app_label}."
        return found is not None and any(name.startswith(prefix) for name in found.permissions)


def _snapshot_of(user: object) -> Snapshot | None:
    if not isinstance(user, User) or not user.is_active:
        return None
    return access.snapshot(user.pk)
