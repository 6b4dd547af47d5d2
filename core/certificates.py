"""What a server's certificate says of its time."""

import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MOST_REMEMBERED: Final = 20_000

_remembered: dict[bytes, "Certificate"] = {}


@dataclass(frozen=True, slots=True)
class Certificate:
    """When a certificate holds, and the SHA-256 by which it is known."""

    not_before: datetime
    not_after: datetime
    fingerprint: str


def certificate_of(shown: ssl.SSLObject | None) -> Certificate | None:
    """Return what the other side showed, verified or not; None where nothing can be read."""
    try:
        encoded = shown.getpeercert(binary_form=True) if shown is not None else None
    except ValueError:
        # The handshake did not come to its end.
        return None
    return read(encoded) if encoded else None


def read(encoded: bytes) -> Certificate | None:
    """Read a certificate; the same ones come again and again, so what was read is remembered."""
    digest = hashlib.sha256(encoded).digest()
    found = _remembered.get(digest)
    if found is None:
        try:
            parsed = x509.load_der_x509_certificate(encoded)
            found = Certificate(
                parsed.not_valid_before_utc, parsed.not_valid_after_utc, digest.hex()
            )
        except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
            # TLS libraries accept more than the parser does, and the other side chose the bytes.
            return None
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        _remembered[digest] = found
    return found
