"""The components of the console as template tags; a page is built of these and nothing else.

The page /admin/components/ shows each of them while OPS_DEBUG is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.template.loader import render_to_string

from core import components

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.core.paginator import Page
    from django.template.context import RequestContext

register = template.Library()

register.simple_tag(components.badge)
register.simple_tag(components.when)


@register.inclusion_tag("components/card.html")
def card(  # a card has as many parts as the design gives it
    title: str, value: object, context: str = "", tone: str = "unknown", href: str = ""
) -> dict[str, Any]:
    """Show one figure with its question above, its context below, and its tone at the edge."""
    return {
        "title": title,
        "value": value,
        "context": context,
        "tone": components.Tone(tone or "unknown"),
        "href": href,
    }


@register.simple_block_tag
def panel(content: str, title: str = "", href: str = "", link: str = "", tone: str = "") -> str:
    """Frame a part of a page under a heading; `href` and `link` lead on from there."""
    context = {"content": content, "title": title, "href": href, "link": link, "tone": tone}
    return render_to_string("components/panel.html", context)


@register.inclusion_tag("components/facts.html")
def facts(pairs: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """List names with their values."""
    return {"pairs": pairs}


@register.inclusion_tag("components/table.html", takes_context=True)
def table(context: RequestContext, table: components.Table) -> dict[str, Any]:
    """Show a table whose heads sort and whose pages turn by links."""
    query = context["request"].GET
    return {"table": table, "headings": table.headings(query), "pages": table.page_links(query)}


@register.inclusion_tag("components/pages.html", takes_context=True)
def pages(context: RequestContext, page: Page[Any], label: str = "") -> dict[str, Any]:
    """Turn the pages of a list that is no table."""
    links = components.page_links(page, context["request"].GET)
    return {"pages": links, "label": label, "count": page.paginator.count}


@register.inclusion_tag("components/tabs.html")
def tabs(items: Sequence[components.Tab], label: str = "Sections") -> dict[str, Any]:
    """Show links to the sections of a page; each section is a page of its own."""
    return {"items": items, "label": label}


@register.inclusion_tag("components/code.html")
def code(text: object, label: str = "") -> dict[str, Any]:
    """Show text as it is, with a button that copies it."""
    return {"text": text, "label": label}


@register.inclusion_tag("components/empty.html")
def empty(title: str, text: str = "", href: str = "", action: str = "") -> dict[str, Any]:
    """Say why there is nothing, and offer the one thing to do about it."""
    return {"title": title, "text": text, "href": href, "action": action}


@register.simple_block_tag
def dialog(content: str, name: str, title: str) -> str:
    """Hold a dialog that opens where a button says `data-dialog="name"`."""
    return render_to_string(
        "components/dialog.html", {"content": content, "name": name, "title": title}
    )


@register.inclusion_tag("components/steps.html")
def steps(items: Sequence[str], current: int = 1, label: str = "Steps") -> dict[str, Any]:
    """Show the steps of a procedure; `current` counts from 1, beyond the last all are done."""
    shown = [
        (text, "done" if number < current else "current" if number == current else "")
        for number, text in enumerate(items, start=1)
    ]
    return {"items": shown, "label": label}


@register.inclusion_tag("components/progress.html", takes_context=True)
def progress(context: RequestContext, work: components.Progress) -> dict[str, Any]:
    """Show how far a long job is, and offer to cancel it."""
    return {"work": work, "csrf_token": context.get("csrf_token")}
