"""How people stand: their roles, what guards their accounts, where they are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.models import APIKey, Passkey, RecoveryCode, TOTPDevice, User
from accounts.roles import ADMIN
from accounts.selectors import access, sign_ins

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.models import UserSession
    from accounts.models.api_keys import APIKeyQuerySet


@dataclass(frozen=True, slots=True)
class Standing:
    """What guards one account."""

    apps: int
    passkeys: int
    codes_left: int
    factor_required: bool
    sessions: int
    keys: int

    @property
    def has_factor(self) -> bool:
        """Whether the account has a second factor."""
        return bool(self.apps or self.passkeys)

    @property
    def factors_text(self) -> str:
        """Return the factors in words."""
        parts = []
        if self.apps:
            parts.append("authenticator app")
        if self.passkeys:
            parts.append("1 passkey" if self.passkeys == 1 else f"{self.passkeys} passkeys")
        if not parts:
            return "None."
        codes = "1 recovery code" if self.codes_left == 1 else f"{self.codes_left} recovery codes"
        text = ", ".join([*parts, f"{codes} left"])
        return text[0].upper() + text[1:] + "."


def active_admins() -> QuerySet[User]:
    """Return the admins who can sign in.

    One who never chose a password of their own does not count: the one-time password runs out.
    """
    return User.objects.filter(groups__name=ADMIN, is_active=True, must_change_password=False)


def roles_of(user: User) -> list[str]:
    """Return the names of a person's roles, in order."""
    return list(user.groups.order_by("name").values_list("name", flat=True))


def standing_of(user: User) -> Standing:
    """Return what guards one account; five queries and what is known of the person."""
    known = access.snapshot(user.pk)
    return Standing(
        apps=TOTPDevice.objects.filter(user=user).exclude(confirmed_at=None).count(),
        passkeys=Passkey.objects.filter(user=user).count(),
        codes_left=RecoveryCode.objects.filter(user=user, used_at=None).count(),
        factor_required=known is not None and known.mfa_required,
        sessions=sessions_of(user).count(),
        keys=keys_of(user).valid().count(),
    )


def sessions_of(user: User) -> QuerySet[UserSession]:
    """Return the sign-ins of one person that hold, the last used one first."""
    return sign_ins.holding().filter(user=user)


def keys_of(user: User) -> APIKeyQuerySet:
    """Return the API keys of one person; nobody else's."""
    return APIKey.objects.filter(owner=user)
