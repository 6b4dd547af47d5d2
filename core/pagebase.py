"""Pages outside the admin: who may open them, and the console's look around them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, cast

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from core.errors import DomainError, NotFoundError
from core.rest.permissions import PUBLIC, SIGNED_IN

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")

# The person must prove themselves again first; a middleware leads there.
_LED_ON = frozenset({"step-up-required"})


def page(
    *,
    back: str = "",
    **capabilities: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponse],
]:
    """Declare what each method of a page needs; what is not named is refused.

    Strangers are led to the sign-in page. A rule that the person broke is told on the page they
    came from, or on the route `back` where the address shows no page. Nothing of it is cached.
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def run(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            method = "GET" if request.method == "HEAD" else str(request.method)
            needed = capabilities.get(method)
            if needed == PUBLIC:
                return view(request, *args, **kwargs)
            if needed is None and PUBLIC in capabilities.values():
                # The address of such a page may be a secret, and the sign-in page keeps it.
                return HttpResponseNotAllowed(sorted(capabilities))
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if needed is None:
                return HttpResponseNotAllowed(sorted(capabilities))
            if needed != SIGNED_IN and not request.user.has_perm(needed):
                raise PermissionDenied
            try:
                return view(request, *args, **kwargs)
            except NotFoundError as error:
                raise Http404(error.message) from error
            except DomainError as error:
                if method == "GET" or error.code in _LED_ON:
                    raise
                messages.error(request, told(error))
                return HttpResponseRedirect(reverse(back) if back else request.get_full_path())

        run.capabilities = capabilities  # type: ignore[attr-defined]  # read by the tests of architecture
        guarded = csrf_protect(cast("Callable[..., HttpResponse]", run))
        return cast(
            "Callable[Concatenate[HttpRequest, P], HttpResponse]",
            never_cache(guarded),
        )

    return decorate


def told(error: DomainError) -> str:
    """Return what a person reads about a broken rule, in one line."""
    details = [text for texts in error.errors.values() for text in texts]
    return " ".join(dict.fromkeys([error.message, *details]))


def render(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None
) -> TemplateResponse:
    """Render a page in the console's frame."""
    return TemplateResponse(
        request, template, {**admin.site.each_context(request), **(context or {})}
    )
