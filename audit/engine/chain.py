"""The chain of the audit log: what is hashed, in which order, and how a head is signed.

Everything is plain: a stranger can verify with SHA-256, Ed25519 and this page.

* body: the columns of BODY_FIELDS joined by U+001F, the time in UTC with microseconds;
* mac: eight digits that name the key, a colon, HMAC-SHA256 of the body in hexadecimal;
* digest: SHA-256 of the body, U+001F and the mac;
* chain: SHA-256 of the chain before, seq and record id as 64-bit big-endian numbers, the digest;
* head: a text of six lines, signed with Ed25519; its last line names forged records by their seq.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.crypto import key_id

if TYPE_CHECKING:
    from datetime import datetime

SEPARATOR: Final = "\x1f"
GENESIS: Final = bytes(32)
BODY_FIELDS: Final = (
    "at",
    "category",
    "action",
    "outcome",
    "actor_kind",
    "actor_key",
    "actor_name",
    "on_behalf_of",
    "session",
    "address",
    "user_agent",
    "request_id",
    "trace_id",
    "target_type",
    "target_id",
    "target_name",
    "reason",
    "payload",
)
# A record that the database itself wrote; it holds no key.
UNSIGNED_ACTION: Final = "db.bypassed"

_PLACE: Final = struct.Struct(">QQ")
_CHAIN: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST: Final = 2**63


def told_time(at: datetime) -> str:
    """Return a moment in UTC as it is hashed."""
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def body_of(texts: Mapping[str, str]) -> bytes:
    """Return what is hashed of a record."""
    return SEPARATOR.join([texts[name] for name in BODY_FIELDS]).encode()


def mac_of(secret: str, body: bytes) -> str:
    """Return the keyed digest that only the platform can make."""
    return f"{_key_id(secret)}:{hmac.digest(secret.encode(), body, 'sha256').hex()}"


@lru_cache(maxsize=8)
def _key_id(secret: str) -> str:
    return key_id(secret)


def digest_of(hashed: bytes) -> bytes:
    """Return what the chain holds of a record: of its body, U+001F and the mac."""
    return hashlib.sha256(hashed).digest()


def next_chain(before: bytes, seq: int, record_id: int, digest: bytes) -> bytes:
    """Return the chain after one more record."""
    return hashlib.sha256(before + _PLACE.pack(seq, record_id) + digest).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at one moment."""

    size: int
    chain: str
    at: str
    prev: str
    forged: str = ""
    """Places whose records the platform did not write, parted by commas."""

    def __post_init__(self) -> None:
        if not _is_size(self.size) or not _CHAIN.fullmatch(self.chain):
            message = "A head of the audit log has a size and a chain of 64 digits."
            raise ValueError(message)

    @property
    def message(self) -> bytes:
        """Return the signed text."""
        lines = (str(self.size), self.chain, self.at, self.prev, self.forged)
        return "\n".join(("ops-audit-checkpoint-1", *lines, "")).encode()

    @property
    def forged_seqs(self) -> list[int]:
        """Return the places of forged records."""
        return [int(seq) for seq in self.forged.split(",")] if self.forged else []

    def digest(self, signature: str) -> str:
        """Return what the next checkpoint names as the one before."""
        return hashlib.sha256(self.message + bytes.fromhex(signature)).hexdigest()


def _is_size(value: object) -> bool:
    # A file or SQLite may hold anything.
    return type(value) is int and 0 <= value < _LARGEST


def read_head(told: object) -> Head:
    """Return a head as it left the database; raises ValueError for anything else."""
    fields = dict(told) if isinstance(told, Mapping) else {}
    texts = [fields.get(name, "") for name in ("chain", "at", "prev", "forged")]
    if not all(isinstance(text, str) for text in texts):
        message = "A head of the audit log is a JSON object of texts and a size."
        raise ValueError(message)
    return Head(fields.get("size", -1), *texts)


class Signer:
    """Signs heads with a key that is derived from a secret of the keyring."""

    def __init__(self, secret: str) -> None:
        seed = hashlib.sha256(b"audit checkpoint ed25519\0" + secret.encode()).digest()
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_name(self.public)

    def sign(self, head: Head) -> str:
        """Return the signature in hexadecimal."""
        return self._key.sign(head.message).hex()

    def vouch(self, public: bytes) -> str:
        """Return the signature by which this key trusts an earlier one."""
        return self._key.sign(_vouched(public)).hex()


def key_name(public: bytes) -> str:
    """Return sixteen digits that name a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def is_signed(public_keys: Mapping[str, bytes], name: str, head: Head, signature: str) -> bool:
    """Tell whether a known key signed the head."""
    return _is_valid(public_keys.get(name), signature, head.message)


def is_vouched(by: bytes | None, public: bytes, signature: str) -> bool:
    """Tell whether one key trusts another."""
    return _is_valid(by, signature, _vouched(public))


def _vouched(public: bytes) -> bytes:
    return f"ops-audit-key-1\n{public.hex()}\n".encode()


def _is_valid(public: bytes | None, signature: str, message: bytes) -> bool:
    if public is None:
        return False
    try:
        _public_key(public).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


@lru_cache(maxsize=32)
def _public_key(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)
