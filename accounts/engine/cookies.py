"""What stands in the database for the value of the session cookie."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

CACHE_PREFIX: Final = "session/"
_BYTES: Final = 30


def digest_of(value: str) -> str:
    """Return 240 bits of the cookie's SHA-256, which is what Django's column of 40 letters holds.

    Nobody gets from there to a value that the browser could send.
    """
    return urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:_BYTES]).decode()
