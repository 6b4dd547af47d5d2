"""The dashboard: what it shows to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the dashboard's template needs."""
    return {"person": request.user.get_username()}
