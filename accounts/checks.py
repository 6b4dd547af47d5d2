"""System checks of access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth.hashers import verify_password
from django.core import checks
from django.db import DatabaseError
from django.db.models import Q

from accounts.models import User
from accounts.roles import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence


@checks.register(checks.Tags.security)
def check_dashboard_roles(**_: Any) -> Sequence[checks.CheckMessage]:  # noqa: ANN401  # Django's signature
    """Refuse dashboard keys for roles that do not exist; the keys are not printed."""
    unknown = sorted({role for _, role in settings.DASHBOARD_KEYS} - set(ROLES))
    return [
        checks.Error(
            f"ROLES_JSON names the role {role!r}, which does not exist.",
            hint="Roles are " + ", ".join(ROLES) + ".",
            id="accounts.E001",
        )
        for role in unknown
    ]


# What machines and products come with; all but a few break the rules of today, so that only
# imported or raw-written hashes can hold them.
_DEFAULTS: Final = (
    "admin",
    "administrator",
    "changeme",
    "changeit",
    "default",
    "letmein",
    "opsplatform",
    "ops",
    "operator",
    "pass",
    "passw0rd",
    "password",
    "password1",
    "password123",
    "qwerty",
    "root",
    "secret",
    "test",
    "toor",
    "123456",
)


@checks.register(checks.Tags.security, deploy=True)
def check_default_passwords(**_: Any) -> Sequence[checks.CheckMessage]:  # noqa: ANN401  # the same
    """Find people of the console who can be signed in as with a password that everybody knows.

    Twenty hashes a person: only `check --deploy` pays for it. Nothing is said without a database.
    """
    try:
        staff = list(
            User.objects.filter(is_active=True)
            .filter(Q(is_staff=True) | Q(is_superuser=True))
            .order_by("username")
        )
    except DatabaseError:
        return []
    return [
        checks.Error(
            f"{user.username} has a default password.",
            hint=f"Run: manage.py reset_password {user.username}",
            id="accounts.E010",
        )
        for user in staff
        if any(verify_password(word, user.password)[0] for word in (*_DEFAULTS, user.username))
    ]
