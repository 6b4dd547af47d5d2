"""What may be shown of where a channel leads."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from core.masking import clip


def shown_url(url: str) -> str:
    """Return scheme and host: path and query of a webhook often hold its token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def shown_address(address: str) -> str:
    """Return an e-mail address of which only its owner recognises the name."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…{at}{domain}" if at else address


def shown_addresses(addresses: Iterable[str], *, limit: int) -> str:
    """Return several addresses in one line."""
    return clip(", ".join(shown_address(address) for address in addresses), limit)
