"""Views that answer in every way there is, for tests of what surrounds all answers."""

from __future__ import annotations

import logging
from pathlib import Path

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import include, path

from core import tracing

logger = logging.getLogger(__name__)


def context(request):
    """Tell the context that audit rows would get."""
    origin = tracing.current()
    return JsonResponse({"address": origin.address, "user_agent": origin.user_agent})


def page(request):
    """Answer a page."""
    return HttpResponse("<p>Hello")


def own_headers(request):
    """Answer with headers of the view's own."""
    return HttpResponse(
        "x", headers={"Content-Security-Policy": "sandbox", "Cache-Control": "max-age=5"}
    )


def cookie(request):
    """Set a cookie."""
    response = HttpResponse("x")
    response.set_cookie("a", "b")
    return response


def stream(request):
    """Answer block by block."""

    def blocks():
        for number in range(3):
            logger.info("block %d", number)
            yield b"x" * 10

    return StreamingHttpResponse(blocks())


def file(request):
    """Answer a file."""
    return FileResponse(Path(__file__).open("rb"))


def boom(request):
    """Fail."""
    message = "token=hunter2"
    raise ValueError(message)


def away(request):
    """Lead elsewhere."""
    return redirect("/page")


urlpatterns = [
    path("context", context),
    path("page", page),
    path("own", own_headers),
    path("cookie", cookie),
    path("stream", stream),
    path("file", file),
    path("boom", boom),
    path("away", away),
    path("", include("opsplatform.urls")),
]
handler404 = "opsplatform.errors.not_found"
handler500 = "opsplatform.errors.failed"
