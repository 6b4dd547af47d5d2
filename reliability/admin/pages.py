"""What the pages of one service, check, incident or test have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from core.adminbase import ConsoleAdmin, RecordAdmin, SettingsAdmin
from core.errors import DomainError
from reliability.admin.display import run_checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.admin import ModelAdmin
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


M = TypeVar("M", bound="Model")


def show(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    original: Model,
    *,
    title: str,
    template: str = "page",
    **context: object,
) -> TemplateResponse:
    """Return a page of the console about one row."""
    request.current_app = model_admin.admin_site.name
    everything = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "original": original,
        **context,
    }
    name = f"admin/reliability/{model_admin.opts.model_name}/{template}.html"
    return TemplateResponse(request, name, everything)


def seen(model_admin: ModelAdmin[M], request: HttpRequest, object_id: object) -> M:
    """Return the row; raises PermissionDenied if this person may not see it, Http404 without it."""
    found = model_admin.get_object(request, unquote(str(object_id)))
    if not model_admin.has_view_permission(request, found):
        raise PermissionDenied
    if found is None:
        message = f"There is no such {model_admin.opts.verbose_name}."
        raise Http404(message)
    return found


def act(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    permission: str,
    page: str,
    done: str,
    work: Callable[[], object],
) -> HttpResponse:
    """Do what a form asked for, say how it went, and go back to the page.

    Raises PermissionDenied for whoever may not.
    """
    if not request.user.has_perm(permission):
        raise PermissionDenied
    try:
        work()
    except DomainError as error:
        details = [text for texts in error.errors.values() for text in texts]
        model_admin.message_user(request, (details or [error.message])[0], messages.ERROR)
    else:
        model_admin.message_user(request, done, messages.SUCCESS)
    return HttpResponseRedirect(page)


class _PageAdmin(ConsoleAdmin[M]):
    """Has a page for each row."""

    def page_context(self, request: HttpRequest, obj: M) -> dict[str, Any]:
        """Return what the page shows, with its title."""
        message = f"{type(self).__name__} must say what its page shows."
        raise TypeError(message)

    def page(self, request: HttpRequest, object_id: object) -> HttpResponse:
        """Show what there is to know about one row."""
        obj = seen(self, request, object_id)
        return show(self, request, obj, **self.page_context(request, obj))


class ReadAdmin(_PageAdmin[M], RecordAdmin[M]):
    """Shows a row on a page of its own; nothing there is edited."""

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page where Django would show a form."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        return self.page(request, object_id)


class WatchedAdmin(_PageAdmin[M], SettingsAdmin[M]):
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
