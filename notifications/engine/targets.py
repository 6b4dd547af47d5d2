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
    """Return an e-mail address of which only its owner recognises the name."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…{at}{domain}" if at else address


def shown_addresses(addresses: Iterable[str]) -> str:
    """Return several addresses in one line."""
    return clip(", ".join(shown_address(address) for address in addresses), SHOWN_CHARACTERS)
