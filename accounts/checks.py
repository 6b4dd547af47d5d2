"""System checks of access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.db import DatabaseError

from accounts.roles import ROLES
from accounts.selectors import default_passwords

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


@checks.register(checks.Tags.security, deploy=True)
def check_default_passwords(**_: Any) -> Sequence[checks.CheckMessage]:  # noqa: ANN401  # the same
    """Find people of the console who can be signed in as with a password that everybody knows.

    Twenty hashes a person: only `check --deploy` pays for all. A job looks at those that changed.
    Nothing is said without a database.
    """
    try:
        staff = list(default_passwords.people())
    except DatabaseError:
        return []
    return [
        checks.Error(
            f"{user.username} has a default password.",
            hint=f"Run: manage.py reset_password {user.username}",
            id="accounts.E010",
        )
        for user in staff
        if default_passwords.is_one(user)
    ]
