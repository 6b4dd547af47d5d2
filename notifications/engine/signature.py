"""Signatures of outgoing webhooks, and how a receiver verifies them."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

TIMESTAMP_HEADER: Final = "X-OpsPlatform-Timestamp"
SIGNATURE_HEADER: Final = "X-OpsPlatform-Signature"
TOLERANCE_SECONDS: Final = 300
SCHEME: Final = "v1"
# A receiver does not compare an endless list of guesses.
MOST_SIGNATURES: Final = 8

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def signature_header(*, secrets: Iterable[str], timestamp: int, body: bytes) -> str:
    """Sign with every active secret, so that a rotation breaks no receiver."""
    return ",".join(f"{SCHEME}={_digest(secret, timestamp, body)}" for secret in secrets)


def verify(
    *,
    secrets: Iterable[str],
    timestamp: str,
    signature: str,
    body: bytes,
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """Tell whether one of the secrets signed this body lately.

    Every pair is compared in constant time and none is skipped, so the time
    taken says nothing about which one matched. A message outside the tolerance
    is a replay, however well it is signed.
    """
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    moment = int(timestamp)
    if abs(now - moment) > tolerance_seconds:
        return False
    prefix = f"{SCHEME}="
    offered = [
        part.strip().removeprefix(prefix).encode()
        for part in signature.split(",")[:MOST_SIGNATURES]
        if part.strip().startswith(prefix)
    ]
    matched = False
    for secret in secrets:
        expected = _digest(secret, moment, body).encode()
        for candidate in offered:
            matched |= hmac.compare_digest(expected, candidate)
    return matched


def _digest(secret: str, timestamp: int, body: bytes) -> str:
    signed = f"{timestamp}.".encode() + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
