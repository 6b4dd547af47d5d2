"""Walk along the chain and name the first place where it does not hold."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from audit.engine.chain import UNSIGNED_ACTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Row = tuple[int, int, bytes, bytes, bytes | str | None]

_PLACE: Final = struct.Struct(">QQ")
_UNSIGNED: Final = f"\x1f{UNSIGNED_ACTION}\x1f".encode()


class Kind(StrEnum):
    """How a log may be damaged."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
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
    MAC = "mac"
    HEAD = "head"


@dataclass(slots=True)
class Walk:
    """The state of a walk: the last place that held."""

    seq: int
    chain: bytes
    keys: Mapping[str, bytes]
    rows: int = 0
    fault: Fault | None = None
    computed: bytes = b""
    """The digest of the row at fault."""

    def along(self, rows: Iterable[Row], heads: Mapping[int, str]) -> Row | None:
        """Walk over the rows; return the first that does not hold, and leave its fault."""
        # Millions of rows pass here: names are local, and nothing is called twice.
        sha, pack, keys = hashlib.sha256, _PLACE.pack, self.keys
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
            following = sha(chain + pack(seq, record_id) + computed).digest()
            if following != link_chain:
                return self._stop(row, Fault.CHAIN, seq - 1, chain)
            if keys and not is_keyed(keys, raw):
                return self._stop(row, Fault.MAC, seq - 1, chain)
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
    body, _, mac = hashed.rpartition(b"\x1f")
    key = keys.get(mac[:8].decode(errors="replace"))
    if key is None:
        return not mac and _UNSIGNED in body
    return hmac.compare_digest(hmac.digest(key, body, "sha256").hex().encode(), mac[9:])
