"""Walk along the chain in the database, and name the damage that is found."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from django.db import connection

from audit.engine.chain import next_chain
from audit.engine.walk import Fault, Finding, Kind, Walk, is_keyed, names_key, unkeyed
from audit.models import AuditCheckpoint, AuditLink
from audit.selectors import chain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from audit.engine.walk import Row

_LAST: Final = 2**62
_NAMED: Final = 100
# The order of a damage does not matter here, only that there is one.
_NO_HEADS: Final[dict[int, str]] = {}


def leads(size: int, link: str, to: int) -> str:
    """Return the chain that records from one place to another lead to; empty where they do not."""
    walk = Walk(size, bytes.fromhex(link))
    for page in chain.links(size, to):
        if walk.along(page, _NO_HEADS) is not None:
            return ""
    return walk.chain.hex() if walk.seq == to else ""


class Look:
    """A look at a range of the chain: what was read, what was found."""

    def __init__(self, *, forged: Mapping[int, str], is_quick: bool) -> None:
        self.rows = 0
        self.unknown_keys = 0
        self.findings: list[Finding] = []
        self.was_cancelled = False
        self._forged = dict(forged)
        self._is_quick = is_quick
        # A look asks for the keys once; without them nothing is compared.
        self._keys = {} if is_quick else chain.old_mac_keys()

    def along(self, begin: int, to: int, size: int, progress: Callable[[int], bool]) -> None:
        """Walk from one place to another; `size` is what the newest signed head tells of."""
        before = chain.chain_at(begin - 1)
        if before is None:
            gone = AuditLink.objects.filter(seq__lt=begin).order_by("-seq").first()
            place = gone.seq + 1 if gone is not None else chain.first_seq()
            text = "The link before the range is gone."
            self.findings.append(Finding(Kind.DELETED, min(place, begin - 1), text))
            return
        walk = Walk(begin - 1, before)
        for page in chain.links(begin - 1, to):
            begun = walk.seq, walk.chain
            heads = dict(
                AuditCheckpoint.objects.filter(
                    size__gt=walk.seq, size__lte=page[-1][0]
                ).values_list("size", "chain")
            )
            bad = walk.along(page, heads)
            self.rows = walk.rows
            if bad is not None:
                self.findings.append(_name(walk, bad, page, begun))
                return
            self._check_macs(page)
            if not progress(walk.seq * 100 // max(to, 1)):
                self.was_cancelled = True
                return
        if walk.seq < to <= size:
            text = f"The chain ends here; a signed head tells of {size} records."
            self.findings.append(Finding(Kind.TRUNCATED, walk.seq + 1, text))

    def _check_macs(self, page: list[Row]) -> None:
        """Find records that the platform did not write, sealed though they are."""
        if self._is_quick:
            return
        for seq, record_id, _, _, hashed in unkeyed(self._keys, page):
            if not names_key(self._keys, _bytes(hashed)):
                # The sealer had the key, and found no fault: its findings are in the signed heads.
                self.unknown_keys += 1
            elif seq not in self._forged and len(self._forged) < _NAMED:
                text = f"Record {record_id} was not written by the platform."
                self._forged[seq] = text
                self.findings.append(Finding(Kind.FORGED, seq, text, record_id))


def _name(walk: Walk, bad: Row, page: list[Row], begun: tuple[int, bytes]) -> Finding:
    """Name the damage of the first row that does not hold."""
    number, record_id = bad[0], bad[1]
    seq = walk.seq + 1
    match walk.fault:
        case Fault.GAP:
            if _fits(walk.chain, seq, bad) == _bytes(bad[3]):
                return Finding(Kind.REORDERED, seq, f"Its link stands at {number}.", record_id)
            return Finding(Kind.DELETED, seq, "The record and its link are gone.")
        case Fault.RECORD_GONE:
            return Finding(Kind.DELETED, seq, f"Record {record_id} is gone.", record_id)
        case Fault.DIGEST:
            other = AuditLink.objects.filter(digest=walk.computed).exclude(seq=seq).first()
            if other is not None:
                text = f"Record {record_id} holds what was sealed at {other.seq}."
                return Finding(Kind.REORDERED, seq, text, record_id)
            return Finding(Kind.EDITED, seq, f"Record {record_id} was changed.", record_id)
        case Fault.HEAD:
            worse = next(unkeyed(chain.old_mac_keys(), page), None)
            if worse is not None and worse[0] > begun[0]:
                text = f"Record {worse[1]} was changed, and the chain was computed anew."
                return Finding(Kind.EDITED, worse[0], text, worse[1])
            text = "The chain was computed anew: a signed head of this size is another."
            return Finding(Kind.SIGNATURE, seq, text)
        case _:
            return _name_link(walk, bad)


def _name_link(walk: Walk, bad: Row) -> Finding:
    seq, record_id = walk.seq + 1, bad[1]
    heads = AuditCheckpoint.objects.filter(size__lt=seq).order_by("-id")
    signed, link = heads.values_list("size", "chain").first() or (seq, "")
    if signed < walk.seq:
        behind = _fits(_hex(link), seq, bad)
        if behind and behind == _bytes(bad[3]):
            text = "Nobody has signed this link and those up to the next head."
            return Finding(Kind.INSERTED, signed + 1, text)
    for page in chain.links(seq, _LAST):
        for row in page:
            fits = _fits(walk.chain, seq, row)
            if fits and fits in {_bytes(row[3]), _bytes(bad[3])}:
                hashed = _bytes(bad[4])
                if hashed and not is_keyed(chain.old_mac_keys(), hashed):
                    text = f"Record {record_id} was put here; the next stood in its place."
                    return Finding(Kind.INSERTED, seq, text, record_id)
                text = f"The link that belongs here stands at {row[0]}."
                return Finding(Kind.REORDERED, seq, text, record_id)
    return Finding(Kind.EDITED, seq, f"The link of record {record_id} was changed.", record_id)


def _fits(before: bytes, seq: int, row: Row) -> bytes:
    """Return the chain if the row stood at this place; nothing where a column is spoilt."""
    try:
        return next_chain(before, seq, row[1], _bytes(row[2]))
    except (TypeError, ValueError, ArithmeticError, struct.error):
        return b""


def _bytes(value: object) -> bytes:
    """Return what a column holds; SQLite keeps whatever somebody puts there."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return value.encode() if isinstance(value, str) else b""


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        return b""


def beyond(size: int, *, has_head: bool) -> list[Finding]:
    """Find links that no signed head covers."""
    link = AuditLink.objects.filter(seq__gt=size).order_by("seq").first()
    if link is None:
        return []
    if not has_head:
        return [Finding(Kind.SIGNATURE, link.seq, "There are links, and no signed head.")]
    text = "No signed head covers this link."
    return [Finding(Kind.INSERTED, link.seq, text, link.record_id)]


def unlinked(last: AuditCheckpoint | None) -> list[Finding]:
    """Find records that have no link although later ones have."""
    if last is None:
        return []
    with connection.cursor() as cursor:
        horizon, limit = ("r.xid < %s", last.horizon)
        if connection.vendor != "postgresql":
            horizon, limit = ("r.id <= %s", last.last_id)
        cursor.execute(
            f"SELECT r.id, {chain.hashed_sql('r')} FROM audit_auditrecord r "  # noqa: S608  # names of columns
            f"WHERE ({horizon} OR r.id <= 0) "
            "AND NOT EXISTS (SELECT 1 FROM audit_auditlink l WHERE l.record_id = r.id) "
            "ORDER BY r.id LIMIT 1",
            [limit],
        )
        found = cursor.fetchone()
    if found is None:
        return []
    before = AuditLink.objects.filter(record_id__lt=found[0]).order_by("-record_id").first()
    seq = before.seq + 1 if before is not None else 1
    if found[0] > 0 and is_keyed(chain.old_mac_keys(), _bytes(found[1])):
        return [Finding(Kind.LATE, seq, f"Record {found[0]} was never sealed.", found[0])]
    text = f"Record {found[0]} was not written by the platform."
    return [Finding(Kind.INSERTED, seq, text, found[0])]
