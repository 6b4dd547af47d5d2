"""The HTML of a mail: tables and inline styles, the only things all mail programs understand."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from notifications.engine import wording
from notifications.engine.base import ACKNOWLEDGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notifications.engine.base import Message

_COLOURS: Final = {
    "critical": "#b5123b",
    "warning": "#96450a",
    "resolved": "#13713a",
    "acknowledged": "#4b5563",
}
_NEUTRAL: Final = "#1d4ed8"
_TABLE: Final = 'role="presentation" cellpadding="0" cellspacing="0" border="0"'
_BUTTON: Final = (
    "display:inline-block;margin:0 8px 8px 0;padding:10px 18px;border-radius:6px;"
    "font-weight:600;text-decoration:none;"
)


def page(message: Message, *, text: str, key: str, uncertain: bool) -> str:
    """Return the whole page; `text` is what a template made, empty for the built-in words."""
    stands = wording.standing(message)
    colour = _COLOURS.get(stands, _NEUTRAL)
    words = _paragraph(text) if text else _paragraph(message.note) + _paragraph(message.body)
    inner = (
        f'<p style="margin:0 0 8px"><span style="{_badge(colour)}">{escape(stands.upper())}</span>'
        f'</p><h1 style="margin:0 0 16px;font-size:20px;line-height:1.3">{escape(message.title)}'
        f"</h1>{words}{'' if text else _alerts(message)}{_facts(message)}{_links(message)}"
    )
    if uncertain:
        inner += f"<p><em>{escape(wording.REPEAT_NOTE)}</em></p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"></head>'
        '<body style="margin:0;padding:24px 12px;background:#f3f4f6;color:#1c2434;'
        'font:15px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">'
        f'<table {_TABLE} width="100%"><tr><td align="center">'
        f'<table {_TABLE} width="100%" style="max-width:640px;background:#ffffff;'
        f'border-radius:8px;border-top:6px solid {colour}">'
        f'<tr><td style="padding:24px">{inner}</td></tr></table>'
        f'<p style="margin:16px 0 0;font-size:12px;color:#566070">OpsPlatform, message '
        f"{escape(key)}</p></td></tr></table></body></html>\n"
    )


def _badge(colour: str) -> str:
    return (
        f"display:inline-block;padding:2px 10px;border-radius:999px;background:{colour};"
        "color:#ffffff;font-size:12px;font-weight:700"
    )


def _paragraph(text: str) -> str:
    if not text.strip():
        return ""
    return f'<p style="margin:0 0 16px;white-space:pre-wrap">{escape(text)}</p>'


def _alerts(message: Message) -> str:
    rows = "".join(_alert(alert) for alert in message.alerts)
    more = message.firing + message.resolved - len(message.alerts)
    if rows and more > 0:
        rows += f'<tr><td colspan="2" style="padding:8px 0">and {more:,} more</td></tr>'
    if not rows:
        return ""
    return f'<table {_TABLE} width="100%" style="margin:0 0 16px">{rows}</table>'


def _alert(alert: Mapping[str, str]) -> str:
    stands = alert.get("severity", "") if alert.get("status") == "firing" else "resolved"
    title = escape(alert.get("title", ""))
    if wording.is_web(url := alert.get("url", "")):
        title = f'<a href="{escape(url)}" style="color:#1c2434">{title}</a>'
    since = wording.moment(alert["since"]) if alert.get("since") else ""
    told = " · ".join(escape(part) for part in (alert.get("service", ""), since) if part)
    line = "padding:8px 0;border-top:1px solid #e5e7eb;vertical-align:top"
    return (
        f'<tr><td width="1" style="{line};padding-right:12px">'
        f'<span style="{_badge(_COLOURS.get(stands, _NEUTRAL))}">{escape(stands.upper())}</span>'
        f'</td><td style="{line}">{title}'
        f'<br><span style="font-size:13px;color:#566070">{told}</span></td></tr>'
    )


def _facts(message: Message) -> str:
    rows = "".join(
        f'<tr><th align="left" style="padding:2px 16px 2px 0;font-weight:600;'
        f'vertical-align:top">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in wording.facts(message)
    )
    return f'<table {_TABLE} style="margin:0 0 16px">{rows}</table>'


def _links(message: Message) -> str:
    usable = wording.links(message)
    buttons = "".join(
        f'<a href="{escape(url)}" style="{_BUTTON}{_looks(name)}">{escape(name)}</a>'
        for name, url in usable
    )
    shown = {url for _, url in usable}
    others = "".join(
        f"<p>{escape(name)}: {escape(url)}</p>"
        for name, url in message.links.items()
        if url not in shown
    )
    return (f'<p style="margin:0">{buttons}</p>' if buttons else "") + others


def _looks(name: str) -> str:
    if name == ACKNOWLEDGE:
        return "background:#1d4ed8;color:#ffffff;border:1px solid #1d4ed8"
    return "background:#ffffff;color:#1d4ed8;border:1px solid #c7cdd6"
