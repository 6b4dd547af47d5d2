"""Dashboard keys in the console: which there are, and which are denied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from accounts.actors import actor_of
from accounts.models import DeniedDashKey
from accounts.roles import PURPOSE, ROLES
from accounts.selectors import dashboard_keys as known_keys
from accounts.services import dashboard_keys, stepup
from core.adminbase import RecordAdmin
from core.errors import DomainError
from core.pagebase import told

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

_LIST = "admin:accounts_denieddashkey_changelist"
_ACT = "accounts.revoke_apikey"


@dataclass(frozen=True)
class _Line:
    """A key as the page shows it; the key itself is known to nobody here."""

    fingerprint: str
    role: str
    source: str
    denied_since: datetime | None
    is_denied: bool
    reason: str

    @property
    def short(self) -> str:
        """Return the digits that audit rows and logs name."""
        return self.fingerprint[: known_keys.SHOWN]


@admin.register(DeniedDashKey)
class DashboardKeyAdmin(RecordAdmin[DeniedDashKey]):
    """Keys of ROLES_JSON and of the keyring, and those that were denied."""

    def get_urls(self) -> list[URLPattern]:
        """Add what may be done about a key."""
        wrap = self.admin_site.admin_view
        return [
            path("new/", wrap(self.new), name="accounts_denieddashkey_new"),
            path("deny/<str:fingerprint>/", wrap(self.deny), name="accounts_denieddashkey_deny"),
            path("allow/<str:fingerprint>/", wrap(self.allow), name="accounts_denieddashkey_allow"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        lines = _lines()
        return self._page(
            request,
            "list",
            title="Dashboard keys",
            lines=[line for line in lines if line.source],
            gone=[line for line in lines if not line.source],
            may_act=request.user.has_perm(_ACT),
        )

    def new(self, request: HttpRequest) -> HttpResponse:
        """Make the text of a key; it works once it stands in ROLES_JSON."""
        self._may_act(request)
        made: tuple[str, str] | None = None
        if request.method == "POST":
            try:
                made = dashboard_keys.make(request.POST.get("role", ""))
            except DomainError as error:
                self.message_user(request, told(error), messages.ERROR)
        response = self._page(
            request,
            "new",
            title="New dashboard key",
            roles=[(name, PURPOSE[name]) for name in ROLES],
            key=made[0] if made else "",
            entry=made[1] if made else "",
        )
        response["Cache-Control"] = "no-store"
        return response

    def deny(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Ask, then refuse a key from now on."""
        return self._decide(request, fingerprint, deny=True)

    def allow(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """Ask, then accept a key again."""
        return self._decide(request, fingerprint, deny=False)

    def _decide(self, request: HttpRequest, fingerprint: str, *, deny: bool) -> HttpResponse:
        self._may_act(request)
        line = next((one for one in _lines() if one.fingerprint == fingerprint), None)
        if line is None:
            raise Http404
        if request.method != "POST":
            title = f"{'Deny' if deny else 'Accept'} key {line.short}{'' if deny else ' again'}?"
            return self._page(request, "decide", title=title, line=line, deny=deny)
        act = dashboard_keys.deny if deny else dashboard_keys.allow
        try:
            act(
                actor=actor_of(request),
                fingerprint=fingerprint,
                reason=request.POST.get("reason", "").strip()[:200],
            )
        except DomainError as error:
            self.message_user(request, told(error), messages.ERROR)
        else:
            word = "denied" if deny else "accepted again"
            self.message_user(request, f"Key {line.short} is {word}.", messages.SUCCESS)
        return HttpResponseRedirect(reverse(_LIST))

    def _may_act(self, request: HttpRequest) -> None:
        if not request.user.has_perm(_ACT):
            raise PermissionDenied
        stepup.require(request)

    def _page(self, request: HttpRequest, name: str, **context: object) -> TemplateResponse:
        shown = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/accounts/denieddashkey/{name}.html", shown)


def _lines() -> list[_Line]:
    """Return the keys that have a source, and those that are denied and have none any more."""
    reasons = {row.fingerprint: row.reason for row in DeniedDashKey.objects.all()}
    found: dict[str, _Line] = {}
    for key in known_keys.known():
        source = key.source if key.state == "current" else f"{key.source}, being replaced"
        found.setdefault(key.fingerprint, _line(key.fingerprint, key.role, source, reasons))
    for fingerprint in reasons:
        found.setdefault(fingerprint, _line(fingerprint, "", "", reasons))
    return list(found.values())


def _line(fingerprint: str, role: str, source: str, reasons: dict[str, str]) -> _Line:
    return _Line(
        fingerprint=fingerprint,
        role=role,
        source=source,
        denied_since=known_keys.denied_since(fingerprint),
        is_denied=known_keys.is_denied(fingerprint),
        reason=reasons.get(fingerprint, ""),
    )
