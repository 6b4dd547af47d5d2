"""What may be shown of where a channel leads."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from core.masking import clip

SHOWN_CHARACTERS: Final = 300


def shown_url(url: str) -> str:
    """Return scheme and host: path and query of a webhook often hold its token."""
    parts = urlsplit(url)
    return clip(f"{parts.scheme}://{parts.netloc}", SHOWN_CHARACTERS)


def shown_address(address: str) -> str:
    """Return an address that only its owner recognises: a name's first letter, and its domain.

    Numbers and topics have no domain, and whoever knows a topic may read and write it.
    """
    local, at, domain = address.rpartition("@")
    if at:
        return f"{local[:1]}…{at}{domain}"
    return f"{address[:1]}…" if address else ""


def shown_addresses(addresses: Iterable[str]) -> str:
    """Return several addresses in one line."""
    return clip(", ".join(shown_address(address) for address in addresses), SHOWN_CHARACTERS)
