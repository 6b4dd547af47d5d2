"""Pictures in pages: curves over time by uPlot, bars as SVG from the server.

SVG carries presentation attributes and classes only: the policy of pages allows no inline style.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django import template
from django.templatetags.static import static
from django.utils.html import format_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from core.charts import Quantity, StatusBar

register = template.Library()

UPLOT: Final = "vendor/uplot-1.6.32"
RANGES: Final = ("1h", "24h", "7d", "30d")
_RANGE_WORDS: Final = {"1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}


@register.simple_tag
def chart_styles() -> SafeString:
    """Link what pictures look like; for the head of a page that has some."""
    return format_html('<link rel="stylesheet" href="{}">', static("css/chart.css"))


@register.simple_tag
def chart_scripts() -> SafeString:
    """Link what draws curves; for the end of the head. It fetches the library by itself."""
    return format_html(
        '<script type="module" src="{}" data-uplot="{}" data-styles="{}"></script>',
        static("js/chart.js"),
        static(f"{UPLOT}/uPlot.iife.min.js"),
        static(f"{UPLOT}/uPlot.min.css"),
    )


@register.inclusion_tag("components/chart.html", takes_context=True)
def chart(
    context: dict[str, Any],
    title: str,
    src: str,
    series: str,
    *,
    unit: str = "ms",
    on: str = "",
    live: str = "",
    threshold: float | None = None,
    threshold_label: str = "Slow above",
    ranges: bool = True,
    most: float | None = None,
) -> dict[str, Any]:
    """Draw columns of a JSON answer over time.

    `series` names them, the main one first: "p95_ms:95th percentile,p50_ms:Median". `on` names
    the live events that have it read again, `live` a value of the live figures to show beside the
    title, `most` where the axis ends; without it, it ends above the greatest value. The chosen
    range stands in the address as `?range=`; `src` gets it as it is.
    """
    request = context.get("request")
    wanted = request.GET.get("range", "") if request is not None else ""
    current = wanted if wanted in RANGES else "24h"
    columns = [
        dict(zip(("key", "label"), part.split(":", 1), strict=True)) for part in series.split(",")
    ]
    return {
        "title": title,
        "src": src,
        "series": json.dumps(columns, separators=(",", ":")),
        "unit": unit,
        "on": on,
        "live": live,
        "threshold": threshold,
        "threshold_label": threshold_label,
        "most": most,
        "ranges": [(key, _RANGE_WORDS[key], key == current) for key in RANGES] if ranges else [],
        "current": current if ranges else "",
    }


@register.inclusion_tag("components/history.html")
def history(bar: StatusBar, *, small: bool = False) -> dict[str, Any]:
    """Draw a history as bars; a small one is one picture, a large one tells about each bar."""
    return {"bar": bar, "small": small, "numbered": list(enumerate(bar.bars)) if not small else []}


@register.inclusion_tag("components/bars.html")
def bars(items: Sequence[Quantity], label: str) -> dict[str, Any]:
    """Draw horizontal bars against the greatest of them; each number stands beside its bar."""
    greatest = max((item.value for item in items), default=0) or 1
    shown = [(item, round(100 * max(item.value, 0) / greatest, 1)) for item in items]
    return {"items": shown, "label": label}


@register.simple_tag
def spark(values: Sequence[float | None], label: str) -> SafeString:
    """Draw a small curve without axes; where a value is missing, the line has a gap."""
    known = [value for value in values if value is not None]
    top = max(known, default=0) or 1
    parts, is_drawing = [], False
    for number, value in enumerate(values):
        if value is not None:
            verb = "L" if is_drawing else "M"
            parts.append(f"{verb}{number * 4} {round(22 - 20 * value / top, 1):g}")
        is_drawing = value is not None
    return format_html(
        '<svg class="spark" role="img" aria-label="{}" viewBox="0 0 {} 24" '
        'preserveAspectRatio="none"><path fill="none" d="{}"/></svg>',
        label,
        max(4 * (len(values) - 1), 4),
        "".join(parts),
    )
