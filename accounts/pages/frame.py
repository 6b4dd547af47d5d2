"""What all pages of one's own account share: the console's frame and the tabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from django.urls import NoReverseMatch, reverse

from accounts.models import APIKey
from core.components import Tab
from core.pagebase import render as render_page

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.template.response import TemplateResponse

    from accounts.models import User


@dataclass(frozen=True)
class _Section:
    key: str
    label: str
    route: str


_SECTIONS: Final = (
    _Section("profile", "Profile", "account"),
    _Section("password", "Password", "account-password"),
    _Section("mfa", "Second factor", "account-mfa"),
    _Section("sessions", "Sessions", "account-sessions"),
    _Section("keys", "API keys", "account-keys"),
    _Section("notifications", "Notifications", "account-notifications"),
)


def render(
    request: HttpRequest, template: str, *, tab: str, title: str, **context: object
) -> TemplateResponse:
    """Render a page of the account under its tab."""
    shown = {"title": title, "account_tabs": _tabs(request, tab), "tab": tab, **context}
    return render_page(request, template, shown)


def person(request: HttpRequest) -> User:
    """Return who is signed in; pages are opened by nobody else."""
    return cast("User", request.user)


def may_have_keys(request: HttpRequest) -> bool:
    """Tell whether the person may make API keys, or still holds some."""
    return (
        request.user.has_perm("accounts.add_apikey")
        or APIKey.objects.filter(owner=person(request), revoked_at=None).exists()
    )


def _tabs(request: HttpRequest, current: str) -> list[Tab]:
    tabs = []
    for section in _SECTIONS:
        if section.key == "keys" and current != "keys" and not may_have_keys(request):
            continue
        try:
            href = reverse(section.route)
        except NoReverseMatch:
            continue
        if not href.startswith(getattr(request, "open_paths", "/")):
            continue  # a step is due first: the page would only lead back to it
        tabs.append(Tab(section.label, href, is_current=section.key == current))
    return tabs
