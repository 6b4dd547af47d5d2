"""The e-mail channel: one message to one person, as text and as HTML."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Final

from notifications.engine import mailpage, wording

if TYPE_CHECKING:
    from datetime import datetime

    from notifications.engine.base import Message

SUBJECT_CHARACTERS: Final = 200
# RFC 5321 leaves no more for an address between its brackets.
ADDRESS_CHARACTERS: Final = 254
REPEAT_NOTE: Final = wording.REPEAT_NOTE

# Old servers pass seven bits only; this policy encodes what would not survive them.
_POLICY: Final = policy.SMTP.clone(cte_type="7bit")


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
    template: str = ""


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
    mail["Subject"] = wording.headline(message, limit=SUBJECT_CHARACTERS)
    mail["Date"] = format_datetime(envelope.sent_at)
    # A repeated attempt carries the same id, so that mail programs can show one message.
    mail["Message-ID"] = _message_id(envelope.key, from_address.domain)
    # All messages of one thread refer to an id that was never sent: it holds them together.
    thread = _message_id(f"thread {message.thread or message.dedup_key}", from_address.domain)
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    # Out-of-office replies must not answer alerts (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_as_text(message, envelope))
    mail.add_alternative(_as_html(message, envelope), subtype="html")
    return mail


def parse_address(value: str, *, header: str, name: str = "") -> Address:
    """Return the address, its domain in ASCII; raises HeaderRefusedError.

    One that begins like an option of a program, or leads to a machine by its number, is none.
    """
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
    if local.startswith("-") or _is_machine(address.domain):
        raise HeaderRefusedError(refusal)
    return address


def _is_machine(domain: str) -> bool:
    """Tell whether it is the number of a machine: the relay would deliver there past our guard."""
    return domain.startswith("[") or domain.rstrip(".").rpartition(".")[2].isdigit()


def _message_id(key: str, domain: str) -> str:
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def _as_text(message: Message, envelope: Envelope) -> str:
    text = wording.text_of(message, template=envelope.template, uncertain=envelope.uncertain)
    lines = [message.title, "", text]
    if message.links:
        lines += ["", *(f"{name}: {url}" for name, url in message.links.items())]
    lines += ["", "-- ", f"OpsPlatform, message {envelope.key}", ""]
    return "\n".join(lines)


def _as_html(message: Message, envelope: Envelope) -> str:
    text = ""
    with contextlib.suppress(wording.BadTemplateError):
        text = wording.filled(envelope.template, message).strip()
    return mailpage.page(message, text=text, key=envelope.key, uncertain=envelope.uncertain)
