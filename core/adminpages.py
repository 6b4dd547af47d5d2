"""Pages of the console about one row, and the acts that stand there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse

from core.adminbase import ConsoleAdmin, RecordAdmin
from core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.admin import ModelAdmin
    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse

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
    opts = model_admin.opts
    name = f"admin/{opts.app_label}/{opts.model_name}/{template}.html"
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


class PageAdmin(ConsoleAdmin[M]):
    """Has a page for each row."""

    def page_context(self, request: HttpRequest, obj: M) -> dict[str, Any]:
        """Return what the page shows, with its title."""
        message = f"{type(self).__name__} must say what its page shows."
        raise TypeError(message)

    def page(self, request: HttpRequest, object_id: object) -> HttpResponse:
        """Show what there is to know about one row."""
        obj = seen(self, request, object_id)
        return show(self, request, obj, **self.page_context(request, obj))


class ReadAdmin(PageAdmin[M], RecordAdmin[M]):
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
