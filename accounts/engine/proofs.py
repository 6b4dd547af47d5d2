"""How somebody has proven who they are, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# By method (RFC 8176, and ours), in the order in which they are told. What else stands beside
# them, as "user" and "mfa", says nothing that these do not.
_WORDS: Final = {
    "pwd": "password",
    "otp": "app",
    "hwk": "passkey",
    "swk": "passkey",
    "recovery": "recovery code",
}


def in_words(methods: Iterable[str]) -> str:
    """Return the proofs in words: "password and app", "passkey"."""
    given = set(methods)
    words = list(dict.fromkeys(word for method, word in _WORDS.items() if method in given))
    if not words:
        return "unknown"
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
