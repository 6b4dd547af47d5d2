"""Every API error as application/problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from core import tracing
from core.errors import DomainError, InvalidInputError
from core.keyring import KeyringError

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
KEYRING_AWAY: Final = "The platform's keyring cannot be read; the log says why."
NOT_AUTHENTICATED: Final = "Sign in or send a valid key."

_CHALLENGE: Final = 'Bearer realm="opsplatform"'

Errors = dict[str, list[str]]


def problem(
    status: int, *, detail: str, code: str = "", title: str = "", errors: Errors | None = None
) -> dict[str, Any]:
    """Return the members of a problem; the request id leads to the log."""
    body: dict[str, Any] = {
        "type": f"urn:opsplatform:problem:{code or status}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    if request_id := tracing.current().request_id:
        body["request_id"] = request_id
    return body


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer any error of an API view; what nobody foresaw is logged, and told without detail."""
    headers: dict[str, str] = {}
    if isinstance(error, DomainError):
        body = problem(
            error.status,
            detail=error.message,
            code=error.code,
            title=error.title,
            errors=error.errors,
        ) | dict(error.members())
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if error.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = _CHALLENGE
    elif isinstance(error, Http404):
        body = problem(404, detail="There is no such thing.", code="not-found")
    elif isinstance(error, PermissionDenied | exceptions.PermissionDenied):
        body = problem(403, detail="Your role does not allow this.", code="forbidden")
    elif isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        # One constant text: which part was wrong is nobody's business.
        body = problem(401, detail=NOT_AUTHENTICATED, code="not-authenticated")
        headers["WWW-Authenticate"] = _CHALLENGE
    elif isinstance(error, exceptions.ValidationError):
        body = problem(
            400,
            detail=f"{InvalidInputError.title}.",
            code=InvalidInputError.code,
            title=InvalidInputError.title,
            errors=_flat(error.detail),
        )
    elif isinstance(error, exceptions.APIException):
        body = problem(error.status_code, detail=str(error.detail), code=_code(error))
        if (wait := getattr(error, "wait", None)) is not None:
            headers["Retry-After"] = str(max(1, int(wait + 0.999)))
    elif isinstance(error, OperationalError):
        logger.error("The database did not answer.", exc_info=error)
        body = problem(503, detail="The database does not answer for now.", code="unavailable")
        headers["Retry-After"] = "5"
    elif isinstance(error, KeyringError):
        # Its message names a path of the server, which is for the log.
        logger.error("The keyring cannot be used.", exc_info=error)
        body = problem(503, detail=KEYRING_AWAY, code="unavailable")
    else:
        logger.error("An API view failed.", extra={"view": _name(context)}, exc_info=error)
        body = problem(500, detail="An unexpected error; its request id is in the log.")
    return Response(body, body["status"], headers=headers, content_type=MEDIA_TYPE)


def plain_problem(status: int, detail: str) -> JsonResponse:
    """Return a problem from outside the REST framework, such as a middleware."""
    return JsonResponse(problem(status, detail=detail), status=status, content_type=MEDIA_TYPE)


def _flat(detail: Any, path: str = "") -> Errors:  # noqa: ANN401  # nested lists and dicts of texts
    if isinstance(detail, dict):
        found: Errors = {}
        for key, value in detail.items():
            found |= _flat(value, f"{path}.{key}" if path else str(key))
        return found
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        found = {}
        for index, value in enumerate(detail):
            found |= _flat(value, f"{path}.{index}" if path else str(index))
        return found
    texts = detail if isinstance(detail, list) else [detail]
    return {path or "non_field_errors": [str(text) for text in texts]} if texts else {}


def _code(error: exceptions.APIException) -> str:
    return str(error.default_code).replace("_", "-")


def _name(context: Mapping[str, Any]) -> str:
    return type(context.get("view")).__name__
