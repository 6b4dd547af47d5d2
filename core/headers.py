"""Security headers of every response (SPEC S7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase

# Nothing inline and nothing from elsewhere; 'self' covers the console's own WebSocket too.
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"

_HSTS: Final = "max-age=31536000; includeSubDomains; preload"
_UNUSED_FEATURES: Final = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "usb",
    "xr-spatial-tracking",
)
_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES),
}
_CREDENTIALS: Final = ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "HTTP_X_DASH_KEY")


def security_headers(*, page: bool, https: bool) -> dict[str, str]:
    """Return the headers of a page, or of anything that a browser shall not render as one."""
    headers = {"Content-Security-Policy": PAGE_POLICY if page else API_POLICY, **_COMMON}
    if https:
        headers["Strict-Transport-Security"] = _HSTS
    return headers


def api_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that no page is, as ASGI wants them."""
    return [
        (name.lower().encode(), value.encode())
        for name, value in security_headers(page=False, https=https).items()
    ]


class SecurityHeadersMiddleware:
    """Adds the security headers to whatever comes back, errors and redirects included.

    A view may set a header itself; then its own value stays. What answers a request with
    credentials, or sets a cookie, is not to be kept by any cache unless the view says so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._page = security_headers(page=True, https=settings.HTTPS)
        self._other = security_headers(page=False, https=settings.HTTPS)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, with headers."""
        response = self._get_response(request)
        # One set of names: asking for each missing header would raise and catch a KeyError.
        given = {name.lower() for name in response.headers}
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        for name, value in (self._page if is_page else self._other).items():
            if name.lower() not in given:
                response.headers[name] = value
        if "cache-control" not in given and (response.cookies or _carries_credentials(request)):
            response.headers["Cache-Control"] = "no-store"
        return response


def _carries_credentials(request: HttpRequest) -> bool:
    """Say whether the answer may be meant for one person; looking up who would cost a query."""
    return settings.SESSION_COOKIE_NAME in request.COOKIES or any(
        name in request.META for name in _CREDENTIALS
    )
