"""What stands between signing in and going on: steps that are due, and proofs that are missing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from accounts.models import User
from accounts.selectors import access, sign_ins
from accounts.services import restrictions
from core.errors import StepUpRequiredError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse, HttpResponseBase


class DueStepsMiddleware:
    """Leads people to what they must do first: choose a password, set up a second factor.

    The same for a proof that a dangerous act asks for. The API answers for itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Redirect pages, or pass the request on."""
        if not request.path.startswith(self._guarded):
            return self._get_response(request)
        found = self._due(request)
        # Pages show no way around while there is none.
        request.is_restricted = found is not None  # type: ignore[attr-defined]
        if found is not None:
            page, allowed = self._ways[found]
            request.open_paths = allowed  # type: ignore[attr-defined]
            if not request.path.startswith(allowed):
                return HttpResponseRedirect(page)
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Lead to the page that asks for a fresh proof, and from there back."""
        if not isinstance(error, StepUpRequiredError) or not request.path.startswith(self._guarded):
            return None
        wanted = urlencode({"next": _way_back(request)})
        return HttpResponseRedirect(f"{reverse('account-step-up')}?{wanted}")

    def _due(self, request: HttpRequest) -> str | None:
        if not isinstance(request.user, User):
            return None
        known = access.snapshot(request.user.pk)
        if known is None:
            return None
        methods = sign_ins.methods_that_matter(known, request.session)
        error = restrictions.restriction_of(known, methods)
        return error.code if error is not None else None

    @cached_property
    def _guarded(self) -> tuple[str, ...]:
        # Looked up once: every request asks for it.
        return (reverse("admin:index"), reverse("account"), reverse("api-docs"))

    @cached_property
    def _ways(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        password, mfa = reverse("account-password"), reverse("account-mfa")
        always = (reverse("admin:logout"), reverse("account-step-up"), reverse("admin:login"))
        return {
            restrictions.PasswordChangeRequiredError.code: (
                password,
                (password, reverse("admin:password_change"), *always),
            ),
            restrictions.EnrolmentRequiredError.code: (mfa, (mfa, password, *always)),
        }


def _way_back(request: HttpRequest) -> str:
    """Return the page that the person was on: a form that was sent cannot be sent again."""
    if request.method in {"GET", "HEAD"}:
        return request.get_full_path()
    referrer = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(referrer, allowed_hosts={request.get_host()}):
        parts = urlsplit(referrer)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return reverse("account")
