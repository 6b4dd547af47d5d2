"""What the pages of one service, check, incident or test have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.contrib.admin.views.main import ChangeList
from django.http import HttpResponseRedirect
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from core.adminbase import SettingsAdmin
from core.adminpages import PageAdmin, ReadAdmin, act, seen, show
from reliability.admin.display import run_checks

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

__all__ = ["PagedList", "ReadAdmin", "WatchedAdmin", "act", "seen", "show"]

M = TypeVar("M", bound="Model")


class WatchedAdmin(PageAdmin[M], SettingsAdmin[M]):
    """Edits what is watched; its page stands where Django would lead to its form."""

    def checks_of(self, obj: M) -> list[int]:
        """Return the checks that the page runs."""
        message = f"{type(self).__name__} must name its checks."
        raise TypeError(message)

    def get_urls(self) -> list[URLPattern]:
        """Add the page, and the act that runs its checks."""
        wrap = self.admin_site.admin_view
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path("<int:object_id>/", wrap(self.page), name=f"{name}_page"),
            path("<int:object_id>/run/", wrap(require_POST(self.run)), name=f"{name}_run"),
        ]
        return [*own, *super().get_urls()]

    def run(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Run its checks now."""
        return run_checks(self, request, self.checks_of(seen(self, request, object_id)))

    def response_post_save_add(self, request: HttpRequest, obj: M) -> HttpResponseRedirect:
        """Go to what was added, where its first result appears."""
        return self._to_page(obj)

    def response_post_save_change(self, request: HttpRequest, obj: M) -> HttpResponseRedirect:
        """Go back to the page where the form was opened."""
        return self._to_page(obj)

    def _to_page(self, obj: M) -> HttpResponseRedirect:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_page"
        return HttpResponseRedirect(reverse(name, args=[obj.pk]))


class PagedList(ChangeList):
    """A list whose rows lead to the page of the thing, not to its form."""

    def url_for_result(self, result: Model) -> str:
        """Return where the first column leads."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_page"
        return reverse(name, args=[result.pk], current_app=self.model_admin.admin_site.name)
