"""System checks: alerts that could not reach anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks

if TYPE_CHECKING:
    from collections.abc import Sequence


@checks.register(checks.Tags.compatibility)
def check_mail_server(**_: Any) -> Sequence[checks.CheckMessage]:  # noqa: ANN401  # Django's signature
    """Warn of recipients whom no mail server serves."""
    if settings.OPS_ALERT_EMAILS and not settings.EMAIL_HOST:
        return [
            checks.Warning(
                "OPS_ALERT_EMAILS names recipients, but no mail server is configured.",
                hint="Set EMAIL_HOST, with EMAIL_PORT, EMAIL_SECURITY and its user as needed.",
                id="notifications.W001",
            )
        ]
    return []
