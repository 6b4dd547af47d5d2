"""Codes of authenticator apps: TOTP of RFC 6238 over HOTP of RFC 4226."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote, urlencode

PERIOD: Final = 30
DIGITS: Final = 6
_SEED_BYTES: Final = 20  # as long as a SHA-1, which RFC 4226 recommends
_MARGIN: Final = 1  # steps before and after, for clocks that differ


def new_seed() -> bytes:
    """Return a random seed."""
    return secrets.token_bytes(_SEED_BYTES)


def step_of(at: float) -> int:
    """Return the number of the 30 seconds that a time lies in."""
    return int(at // PERIOD)


def code(seed: bytes, step: int, *, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """Return the code of a step; apps know SHA-1 and six digits everywhere, others only by RFC."""
    mac = hmac.digest(seed, step.to_bytes(8, "big"), algorithm)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def match(seed: bytes, given: str, at: float) -> int | None:
    """Return the step that the code belongs to, one step early or late included, or None."""
    now = step_of(at)
    found = None
    for step in range(now - _MARGIN, now + _MARGIN + 1):
        # All steps are compared: the time tells nothing.
        if hmac.compare_digest(code(seed, step), given):
            found = step
    return found


def is_code(given: str) -> bool:
    """Tell whether a text has the shape of a code."""
    return len(given) == DIGITS and given.isascii() and given.isdecimal()


def written(seed: bytes) -> str:
    """Return the seed as apps take it by hand: base 32 in groups of four."""
    plain = base64.b32encode(seed).decode().rstrip("=")
    return " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def address(seed: bytes, *, issuer: str, name: str) -> str:
    """Return the `otpauth` address that the QR code holds."""
    label = f"{quote(issuer, safe='')}:{quote(name, safe='')}"
    secret = base64.b32encode(seed).decode().rstrip("=")
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{label}?{query}"
