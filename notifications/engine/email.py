"""The e-mail channel: one message to one person, as text and as HTML."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import TYPE_CHECKING, Final

from notifications.engine.base import single_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from notifications.engine.base import Message

SUBJECT_CHARACTERS: Final = 200
# RFC 5321 leaves no more for an address between its brackets.
ADDRESS_CHARACTERS: Final = 254
REPEAT_NOTE: Final = "This may be a repeat: an earlier attempt ended without an answer."

# Old servers pass seven bits only; this policy encodes what would not survive them.
_POLICY: Final = policy.SMTP.clone(cte_type="7bit")
_COLOURS: Final = {"critical": "#b5123b", "warning": "#96450a", "resolved": "#13713a"}
_NEUTRAL: Final = "#1d4ed8"


class HeaderRefusedError(ValueError):
    """An address holds what no header may hold; the message names the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who sends to whom, when, and under which key."""

    sender: str
    recipient: str
    key: str
    sent_at: datetime
    uncertain: bool = False


def render(message: Message, envelope: Envelope) -> EmailMessage:
    """Build the mail; raises HeaderRefusedError for an address that no header may hold.

    What comes from an alert is folded to one line before it enters a header, so a bad service name
    never loses an alert. Addresses come from people, who can correct them: those are refused.
    """
    sender_name, sender = parseaddr(envelope.sender)
    from_address = parse_address(sender, header="From", name=sender_name)
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = from_address
    mail["To"] = parse_address(envelope.recipient, header="To")
    mail["Subject"] = single_line(
        f"[{_standing(message).upper()}] {message.title}", limit=SUBJECT_CHARACTERS
    )
    mail["Date"] = format_datetime(envelope.sent_at)
    # A repeated attempt carries the same id, so that mail programs can show one message.
    mail["Message-ID"] = _message_id(envelope.key, from_address.domain)
    # All messages of one incident refer to an id that was never sent: it holds their thread.
    thread = _message_id(f"thread {message.dedup_key}", from_address.domain)
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    # Out-of-office replies must not answer alerts (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_as_text(message, envelope))
    mail.add_alternative(_as_html(message, envelope), subtype="html")
    return mail


def parse_address(value: str, *, header: str, name: str = "") -> Address:
    """Return the address, its domain in ASCII; raises HeaderRefusedError."""
    refusal = f"The {header} header cannot hold this address; write it as name@example.com."
    local, _, domain = value.rpartition("@")
    try:
        address = Address(
            display_name=name, username=local, domain=domain.encode("idna").decode("ascii")
        )
        # Only parsing tells whether the parts form an address; building one does not.
        Address(addr_spec=f"{address.username}@{address.domain}")
    except (HeaderParseError, ValueError, IndexError):
        raise HeaderRefusedError(refusal) from None
    possible = len(value) <= ADDRESS_CHARACTERS and value.isprintable() and " " not in value
    if not (local and domain and local.isascii() and possible):
        raise HeaderRefusedError(refusal)
    return address


def _standing(message: Message) -> str:
    return message.severity if message.status == "firing" else message.status


def _message_id(key: str, domain: str) -> str:
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def _facts(message: Message) -> Iterator[tuple[str, str]]:
    yield "Status", message.status
    yield "Severity", message.severity
    if message.service:
        yield "Service", message.service
    yield "Time", message.occurred_at
    yield from message.labels.items()


def _as_text(message: Message, envelope: Envelope) -> str:
    lines = [message.title, ""]
    lines += [f"{name}: {value}" for name, value in _facts(message)]
    if message.body:
        lines += ["", message.body]
    if message.links:
        lines += ["", *(f"{name}: {url}" for name, url in message.links.items())]
    if envelope.uncertain:
        lines += ["", REPEAT_NOTE]
    lines += ["", "-- ", f"OpsPlatform, message {envelope.key}", ""]
    return "\n".join(lines)


def _as_html(message: Message, envelope: Envelope) -> str:
    colour = _COLOURS.get(_standing(message), _NEUTRAL)
    facts = "".join(
        f'<tr><th align="left" style="padding:2px 16px 2px 0">{escape(name)}</th>'
        f"<td>{escape(value)}</td></tr>"
        for name, value in _facts(message)
    )
    body = f'<p style="white-space:pre-wrap">{escape(message.body)}</p>' if message.body else ""
    links = "".join(f"<p>{_link(name, url)}</p>" for name, url in message.links.items())
    note = f"<p><em>{escape(REPEAT_NOTE)}</em></p>" if envelope.uncertain else ""
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head>'
        '<body style="font:14px/1.5 sans-serif;color:#1c2434">'
        f'<h1 style="font-size:20px;border-left:4px solid {colour};padding-left:12px">'
        f"{escape(message.title)}</h1><table>{facts}</table>{body}{links}{note}"
        f'<p style="color:#566070">OpsPlatform, message {escape(envelope.key)}</p>'
        "</body></html>\n"
    )


def _link(name: str, url: str) -> str:
    # Only these schemes become links: "javascript:" must stay text.
    if url.startswith(("https://", "http://")):
        return f'<a href="{escape(url)}">{escape(name)}</a>'
    return f"{escape(name)}: {escape(url)}"
