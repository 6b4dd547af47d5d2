"""Who is behind a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from accounts.models import User
from accounts.roles import ROLES
from core.actors import ANONYMOUS, Actor, ActorKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.http import HttpRequest
    from rest_framework.request import Request

    from accounts.engine.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class DashboardPrincipal:
    """A dashboard key in the place of a user: it has a role, and no account."""

    fingerprint: str
    role: str

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False

    @property
    def pk(self) -> str:
        """Return what names the key in limits and logs."""
        return f"dash/{self.fingerprint}"

    def has_perm(self, permission: str, _obj: object = None) -> bool:
        """Tell whether the key's role has the permission; never one about users."""
        return permission in ROLES[self.role] and not permission.startswith(("accounts.", "auth."))

    def get_username(self) -> str:
        """Return the name for logs."""
        return self.pk


@dataclass(frozen=True, slots=True)
class APIKeyPrincipal:
    """A program with an API key: it may do what its scopes and its owner's rights both allow."""

    key_id: str
    label: str
    owner_id: UUID
    granted: frozenset[str]
    """Permissions that the scopes name."""
    rights: frozenset[str]
    """Permissions of the owner, as they are now."""
    owner_is_superuser: bool = False

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False

    @property
    def pk(self) -> str:
        """Return what names the key in limits and logs."""
        return f"apikey/{self.key_id}"

    def has_perm(self, permission: str, _obj: object = None) -> bool:
        """Tell whether both the scopes and the owner's rights hold the permission."""
        return permission in self.granted and (self.owner_is_superuser or permission in self.rights)

    def get_username(self) -> str:
        """Return the name for logs."""
        return self.pk


@dataclass(frozen=True, slots=True)
class PersonPrincipal:
    """A person who came with an access token; what they may do is as it is now."""

    snapshot: Snapshot
    sid: str
    jti: str
    kid: str
    epoch: str
    methods: tuple[str, ...]

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True

    @property
    def user_id(self) -> UUID:
        """Return whose token it is."""
        return self.snapshot.user_id

    @property
    def pk(self) -> UUID:
        """Return what names the person in limits, as it does for the console."""
        return self.snapshot.user_id

    @property
    def is_staff(self) -> bool:
        """Tell whether the person may use the console."""
        return self.snapshot.is_staff

    @property
    def is_superuser(self) -> bool:
        """Tell whether the person may do everything."""
        return self.snapshot.is_superuser

    def has_perm(self, permission: str, _obj: object = None) -> bool:
        """Tell whether the person has the permission now."""
        return self.snapshot.may(permission)

    def has_perms(self, permissions: Iterable[str]) -> bool:
        """Tell whether the person has all of them now."""
        return all(map(self.snapshot.may, permissions))

    def get_username(self) -> str:
        """Return the person's name."""
        return self.snapshot.username


def actor_of(request: HttpRequest | Request) -> Actor:
    """Return the actor of an authenticated request, or ANONYMOUS."""
    principal: object = request.user
    if isinstance(principal, User):
        return actor_for(principal)
    if isinstance(principal, PersonPrincipal):
        return actor_for_person(principal)
    if isinstance(principal, DashboardPrincipal):
        return actor_for_key(principal)
    if isinstance(principal, APIKeyPrincipal):
        return actor_for_api_key(principal)
    return ANONYMOUS


def person_id_of(request: HttpRequest | Request) -> UUID | None:
    """Return who is there in person; a key is nobody, although people own keys."""
    principal: object = request.user
    if isinstance(principal, User):
        return principal.pk
    return principal.user_id if isinstance(principal, PersonPrincipal) else None


def actor_for_person(principal: PersonPrincipal) -> Actor:
    """Return the actor that stands for a person with an access token."""
    user_id = principal.user_id
    return Actor(ActorKind.USER, str(user_id), principal.get_username(), user_id)


def actor_for(user: User) -> Actor:
    """Return the actor that stands for a person."""
    return Actor(ActorKind.USER, str(user.pk), user.get_username(), user.pk)


def actor_for_key(principal: DashboardPrincipal) -> Actor:
    """Return the actor that stands for a dashboard key."""
    return Actor(ActorKind.DASHBOARD_KEY, principal.fingerprint, principal.pk)


def actor_for_api_key(principal: APIKeyPrincipal) -> Actor:
    """Return the actor that stands for an API key; its owner answers for it."""
    return Actor(
        ActorKind.API_KEY, principal.key_id, f"{principal.label} (API key)", principal.owner_id
    )
