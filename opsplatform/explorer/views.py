"""The API explorer: what the API can do, and a form to try it with one's own session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.http import Http404
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path

from opsplatform.explorer.operations import find, groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


def index(request: HttpRequest) -> HttpResponse:
    """Show every operation."""
    return _page(request, "explorer/index.html", title="API", groups=groups())


def operation(request: HttpRequest, name: str) -> HttpResponse:
    """Show one operation, with what goes in and comes out."""
    found = find(name)
    if found is None:
        raise Http404
    return _page(
        request,
        "explorer/operation.html",
        title=found.title,
        operation=found,
        curl=found.curl(request.build_absolute_uri("/")),
    )


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:  # noqa: ANN401  # what templates show
    if getattr(request.user, "must_change_password", False):
        return redirect("admin:password_change")
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})


def _route(url: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
    return path(url, admin.site.admin_view(view), name=name)


urlpatterns: Final = [
    _route("", index, "api-docs"),
    _route("<slug:name>/", operation, "api-docs-operation"),
]
