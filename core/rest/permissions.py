"""Default deny: a view lists what each action or method needs, or nobody gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

PUBLIC: Final = "public"
"""Anybody may call; the view must be harmless and is rate-limited by address."""
SIGNED_IN: Final = "signed-in"
"""Any known principal may call."""


class HasCapability(BasePermission):
    """Grants what `view.capabilities` names for the action, or else for the method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = request.method or ""
        needed = capability_of(view, method)
        if needed is None:
            # Whoever may call the view learns that it has no such method; strangers learn nothing.
            may_call = request.user.is_authenticated or is_public(view)
            if may_call and method not in view.allowed_methods:
                raise MethodNotAllowed(method)
            return False
        if needed == PUBLIC:
            return True
        if not request.user.is_authenticated:
            return False
        return needed == SIGNED_IN or bool(request.user.has_perm(needed))


def is_public(view: APIView) -> bool:
    """Tell whether anybody may call every method of the view."""
    capabilities: dict[str, str] = getattr(view, "capabilities", {})
    return bool(capabilities) and set(capabilities.values()) == {PUBLIC}


def capability_of(view: APIView, method: str) -> str | None:
    """Return the permission that the call needs; None means that nobody may make it."""
    capabilities: dict[str, str] = getattr(view, "capabilities", {})
    action = getattr(view, "action", None)
    if action and action in capabilities:
        return capabilities[action]
    # HEAD is GET without a body; OPTIONS only describes what GET shows.
    method = "GET" if method in {"HEAD", "OPTIONS"} else method
    return capabilities.get(method)
