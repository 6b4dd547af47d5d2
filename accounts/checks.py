"""System checks of access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

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
