"""The living page of components: each as pages use it, in every state; only while debugging."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404
from django.template.response import TemplateResponse
from django.utils import timezone

from core.charts import Bar, Quantity, Shade, StatusBar
from core.components import Column, Progress, Tab, Table, Tone, badge, when

if TYPE_CHECKING:
    from django.http import HttpRequest

_PAST: Final = (
    *[Shade.NONE] * 6,
    *[Shade.OK] * 20,
    Shade.BAD,
    *[Shade.OK] * 12,
    *[Shade.UNKNOWN] * 3,
    *[Shade.WARN] * 2,
    *[Shade.OK] * 16,
)
_WORDS: Final = ("up", "degraded", "down", "pending", "unknown")


def page(request: HttpRequest, site: dict[str, Any]) -> TemplateResponse:
    """Return the page; it names nothing real."""
    if not settings.DEBUG:
        message = "The components are shown only while OPS_DEBUG is on."
        raise Http404(message)
    now = timezone.now()
    moments = [now - timedelta(minutes=7**number) for number in range(5)]
    context = {
        **site,
        "title": "Components",
        "tones": [str(tone) for tone in Tone],
        "words": _WORDS,
        "moment": moments[1],
        "pairs": [
            ("Tier", "Critical"),
            ("State", badge("up")),
            ("Since", when(moments[3])),
            ("Hostile text", "<script>alert(1)</script>"),
        ],
        "tabs": [
            Tab("Overview", "?tab=overview", request.GET.get("tab") != "checks"),
            Tab("Checks", "?tab=checks", request.GET.get("tab") == "checks", 3),
        ],
        "table": Table(
            [Column("Service", sort="name"), Column("State"), Column("p95", numeric=True)],
            [
                [f"Service {number}", badge(_WORDS[number % 5]), f"{number * 37} ms"]
                for number in range(1, 6)
            ],
            caption="Services of an example",
            page=Paginator(range(40), 5).get_page(request.GET.get("page")),
            order="name",
        ),
        "nothing": Table([Column("Service")], [], empty="No service yet."),
        "stages": ["Ask", "Dry run", "Confirm", "Done"],
        "job": Progress("Uptime test", 12, 40, "Asking", moments[0], "#job"),
        "past": StatusBar(
            [Bar(shade, f"Bar {number}: {shade}") for number, shade in enumerate(_PAST)],
            "An example: every shade of a history",
            begin="90 days ago",
            end="now",
        ),
        "quantities": [
            Quantity("Name", 3, "3 ms"),
            Quantity("Connection", 18, "18 ms", shade="warn"),
            Quantity("First byte", 41.5, "41.5 ms", href="#bars"),
        ],
        "values": [12, 14, 13, 19, None, None, 17, 16, 31, 15],
        "endless": Progress("Prune old results", phase="Waiting for the worker"),
    }
    return TemplateResponse(request, "admin/components.html", context)
