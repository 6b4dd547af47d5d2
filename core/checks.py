"""System checks: set-ups that start but should not be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

if TYPE_CHECKING:
    from collections.abc import Sequence


@checks.register(checks.Tags.compatibility)
def check_unknown_variables(**_: Any) -> Sequence[checks.CheckMessage]:  # noqa: ANN401  # Django's signature
    """Warn of variables with our prefix that nothing reads."""
    return [
        checks.Warning(
            f"Nothing reads the variable {name}.",
            hint="Compare its spelling with docs/configuration.md.",
            id="core.W001",
        )
        for name in settings.OPS_UNKNOWN_VARIABLES
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_debug(**_: Any) -> Sequence[checks.CheckMessage]:  # noqa: ANN401  # Django's signature
    """Refuse tracebacks in answers outside a developer's machine."""
    if settings.OPS_DEBUG and settings.OPS_ENVIRONMENT == "production":
        return [
            checks.Error("OPS_DEBUG is on in production.", hint="Remove OPS_DEBUG.", id="core.E001")
        ]
    return []
