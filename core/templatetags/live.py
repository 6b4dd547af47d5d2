"""Parts of a page that follow what happens."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html

register = template.Library()


@register.simple_block_tag
def live_region(content: str, name: str, on: str = "") -> str:
    """Mark a part of the page that is fetched anew when one of the named events comes.

    `on` holds kinds of live events, apart by spaces. The part must not hold a chart, which reads
    its own data. What the person has open or focused in it stays so.
    """
    return format_html('<div data-region="{}" data-on="{}">{}</div>', name, on, content)


@register.simple_tag
def region_scripts() -> str:
    """Link what keeps live parts up to date; for the end of the head."""
    return format_html('<script type="module" src="{}"></script>', static("js/regions.js"))
