"""How an API key is written: `ops_<id12>_<secret43><crc6>` in base 62."""

from __future__ import annotations

import secrets
import zlib
from typing import Final

PREFIX: Final = "ops_"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALLOWED: Final = frozenset(_DIGITS)
_ID: Final = 12
_SECRET: Final = 43  # 62 ** 43 > 2 ** 256
_SUM: Final = 6  # 62 ** 6 > 2 ** 32
_SECRET_AT: Final = len(PREFIX) + _ID + 1
_SUM_AT: Final = _SECRET_AT + _SECRET
LENGTH: Final = _SUM_AT + _SUM


def make() -> tuple[str, str]:
    """Return the public id of a new key, and the key with 256 random bits."""
    key_id = _base62(secrets.randbits(71), _ID)  # 62 ** 12 > 2 ** 71
    body = f"{PREFIX}{key_id}_{_base62(secrets.randbits(256), _SECRET)}"
    return key_id, body + _checksum(body)


def key_id_of(key: str) -> str | None:
    """Return the public id of a well-formed key, or None: then no look-up is needed.

    The checksum is no secret, so it need not be compared in constant time.
    """
    if len(key) != LENGTH or not key.startswith(PREFIX) or key[_SECRET_AT - 1] != "_":
        return None
    if not key.isascii() or _checksum(key[:_SUM_AT]) != key[_SUM_AT:]:
        return None
    key_id = key[len(PREFIX) : _SECRET_AT - 1]
    return key_id if _ALLOWED.issuperset(key_id) else None


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _SUM)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
