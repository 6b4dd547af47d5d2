"""Answers outside the REST framework: problems for the API, short pages for people."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.contrib import admin
from django.db import InterfaceError, OperationalError
from django.shortcuts import render
from django.templatetags.static import static

from core import tracing
from core.errors import ForbiddenError, UnavailableError
from core.keyring import KeyringError
from core.rest.errors import KEYRING_AWAY, plain_problem

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# Who is signed in keeps the way around. After a failure nothing more is asked of the database.
_IN_THE_CONSOLE: Final = frozenset({403, 404})


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return _answer(request, 400, "The request cannot be read.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403."""
    if isinstance(cause := getattr(exception, "__cause__", None), ForbiddenError):
        # Who may not come in from there sees nothing of the console either.
        return _answer(request, cause.status, cause.message, framed=False)
    return _answer(request, 403, "Your role does not allow this.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return _answer(request, 404, "There is no such page.")


def failed(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 while the database is away; the page asks nothing of it."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return _answer(request, 503, "The database does not answer for now.")
    if isinstance(error := sys.exc_info()[1], UnavailableError):
        response = _answer(request, error.status, error.message)
        response["Retry-After"] = str(error.retry_after)
        return response
    if isinstance(sys.exc_info()[1], KeyringError):
        return _answer(request, 503, KEYRING_AWAY)
    return _answer(request, 500, "An unexpected error; its request id is in the log.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 for a form without a valid token; the reason is for the log only."""
    return _answer(request, 403, "The form has expired. Go back, reload the page, try again.")


def _answer(request: HttpRequest, status: int, detail: str, *, framed: bool = True) -> HttpResponse:
    if request.path.startswith("/api/") or not request.accepts("text/html"):
        return plain_problem(status, detail)
    context = {
        "status": status,
        "title": HTTPStatus(status).phrase,
        "detail": detail,
        "request_id": tracing.current().request_id,
        "stylesheet": _address_of("css/error.css"),
        "icon": _address_of("img/favicon.svg"),
    }
    if framed and status in _IN_THE_CONSOLE and _is_in_console(request):
        title = f"{status}: {context['title']}"
        shown = {**admin.site.each_context(request), **context, "title": title}
        return render(request, "admin/error.html", shown, status=status)
    return render(request, "error.html", context, status=status)


def _address_of(name: str) -> str:
    """Return where a static file is; empty if the collected files are what is broken."""
    try:
        return static(name)
    except (OSError, ValueError):
        return ""


def _is_in_console(request: HttpRequest) -> bool:
    # A request may fail before anybody knows whose it is.
    user = getattr(request, "user", None)
    return user is not None and admin.site.has_permission(request)
