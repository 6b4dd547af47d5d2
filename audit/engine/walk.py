"""Walk along the chain and name the first place where it does not hold."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from audit.engine.chain import BODY_FIELDS, UNSIGNED_ACTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Row = tuple[int, int, bytes, bytes, bytes | str | None]

_PLACE: Final = struct.Struct(">QQ")
_PARTS: Final = len(BODY_FIELDS) + 1
# What a record that the database wrote itself says, and where.
_UNSIGNED: Final = tuple(
    (BODY_FIELDS.index(name), text.encode())
    for name, text in (
        ("action", UNSIGNED_ACTION),
        ("category", "security"),
        ("outcome", "allowed"),
        ("actor_kind", "database"),
    )
)


class Kind(StrEnum):
    """How a log may be damaged."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    FORGED = "forged"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    SIGNATURE = "bad signature"
    LATE = "late unsealed"
    TRIGGER = "missing trigger"
    ARCHIVE = "damaged archive"


@dataclass(frozen=True, slots=True)
class Finding:
    """One damage: its kind, and the place in the order; 0 where it has none."""

    kind: Kind
    seq: int
    text: str
    record_id: int = 0

    def __str__(self) -> str:
        place = f" at seq {self.seq}" if self.seq else ""
        return f"{self.kind}{place}: {self.text}"


class Fault(StrEnum):
    """Where a row does not hold, before its damage has a name."""

    GAP = "gap"
    RECORD_GONE = "record gone"
    DIGEST = "digest"
    CHAIN = "chain"
    HEAD = "head"


@dataclass(slots=True)
class Walk:
    """The state of a walk: the last place that held."""

    seq: int
    chain: bytes
    rows: int = 0
    fault: Fault | None = None
    computed: bytes = b""
    """The digest of the row at fault."""

    def along(self, rows: Iterable[Row], heads: Mapping[int, str]) -> Row | None:
        """Walk over the rows; return the first that does not hold, and leave its fault."""
        # Millions of rows pass here: names are local, and nothing is called twice.
        sha, pack = hashlib.sha256, _PLACE.pack
        seq, chain = self.seq, self.chain
        for row in rows:
            number, record_id, digest, link_chain, hashed = row
            seq += 1
            if number != seq:
                return self._stop(row, Fault.GAP, seq - 1, chain)
            if hashed is None:
                return self._stop(row, Fault.RECORD_GONE, seq - 1, chain)
            raw = hashed if hashed.__class__ is bytes else hashed.encode()  # type: ignore[union-attr]
            computed = sha(raw).digest()
            if computed != digest:
                self.computed = computed
                return self._stop(row, Fault.DIGEST, seq - 1, chain)
            try:
                following = sha(chain + pack(seq, record_id) + computed).digest()
            except struct.error:
                # The key of a record that no program of ours has made.
                return self._stop(row, Fault.CHAIN, seq - 1, chain)
            if following != link_chain:
                return self._stop(row, Fault.CHAIN, seq - 1, chain)
            chain = following
            if number in heads and heads[number] != chain.hex():
                return self._stop(row, Fault.HEAD, seq - 1, chain)
        self.rows += seq - self.seq
        self.seq, self.chain = seq, chain
        return None

    def _stop(self, row: Row, fault: Fault, seq: int, chain: bytes) -> Row:
        self.rows += seq - self.seq
        self.seq, self.chain, self.fault = seq, chain, fault
        return row


def is_keyed(keys: Mapping[str, bytes], hashed: bytes) -> bool:
    """Tell whether the platform wrote a record, or the database as its own."""
    parts = hashed.split(b"\x1f")
    if len(parts) != _PARTS or b"\0" in hashed:
        return False
    mac = parts[-1]
    if not mac:
        return all(parts[place] == text for place, text in _UNSIGNED)
    key = keys.get(mac[:8].decode(errors="replace"))
    if key is None:
        return False
    body = hashed[: -len(mac) - 1]
    expected = mac[:8] + b":" + hmac.digest(key, body, "sha256").hex().encode()
    return hmac.compare_digest(expected, mac)


def is_unsigned(hashed: bytes) -> bool:
    """Tell whether the database itself wrote a record, which therefore has no keyed digest."""
    return hashed.endswith(b"\x1f") and is_keyed({}, hashed)


def names_key(keys: Mapping[str, bytes], hashed: bytes) -> bool:
    """Tell whether the keyed digest can be checked: its key is known, or it needs none."""
    mac = hashed.rpartition(b"\x1f")[2]
    return not mac or mac[:8].decode(errors="replace") in keys


def unkeyed(keys: Mapping[str, bytes], rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows whose keyed digest is not one of the platform."""
    for row in rows:
        hashed = row[4]
        raw = hashed if isinstance(hashed, bytes) else (hashed or "").encode()
        if not is_keyed(keys, raw):
            yield row
