"""What targets answered, as far as it may be kept."""

from typing import Final

from core.masking import mask

MOST_BYTES: Final = 4096
DETAIL_CHARACTERS: Final = 200


def kept(text: str) -> str:
    """Return the beginning of a body with its secrets hidden.

    The cut comes after the masking, which would not recognise a secret that was cut in two.
    """
    return mask(text).encode()[:MOST_BYTES].decode(errors="ignore")


def detail(text: str) -> str:
    """Return one line about a failure with its secrets hidden."""
    return mask(text)[:DETAIL_CHARACTERS]
