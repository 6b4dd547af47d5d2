"""Verify signed heads: those in the database, and those that were kept elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from audit.engine.chain import is_signed, read_head
from audit.engine.walk import Finding, Kind, is_keyed, is_unsigned
from audit.models import AuditArchive, AuditCheckpoint, AuditRecord
from audit.selectors import archived, chain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.engine.chain import Head

RESTORED: Final = "database.restored"


def signatures() -> tuple[list[Finding], dict[int, str]]:
    """Verify that each head is signed and names the one before it.

    Also return the places of forged records that they tell of.
    """
    findings: list[Finding] = []
    forged: dict[int, str] = {}
    keys = chain.public_keys()
    before: str | None = ""
    size, is_first = 0, True
    for key in AuditCheckpoint.objects.order_by("id").values_list("id", flat=True).iterator():
        checkpoint = chain.checkpoint_at(key)
        head = chain.sound_head(checkpoint, keys) if checkpoint is not None else None
        if checkpoint is None or head is None:
            spoilt: object = checkpoint.size if checkpoint is not None else 0
            text = "This head is spoilt, or not signed by a trusted key."
            place = spoilt if isinstance(spoilt, int) else 0
            findings.append(Finding(Kind.SIGNATURE, place, text))
            before = None
            continue
        if is_first and head.prev and not _is_behind_an_archive(head):
            text = "Heads before this one are gone."
            findings.append(Finding(Kind.SIGNATURE, head.size, text))
        if not is_first and before is not None and head.prev != before:
            text = "Behind this head one is gone, or another stands in its place."
            findings.append(Finding(Kind.SIGNATURE, size, text))
        before, size, is_first = head.digest(checkpoint.signature), head.size, False
        for seq in head.forged_seqs:
            forged[seq] = "The platform did not write this record; the sealer found it."
    return findings, forged


def _is_behind_an_archive(head: Head) -> bool:
    return AuditArchive.objects.filter(to_seq=head.size, chain_after=head.chain).exists()


def compare(kept: Mapping[str, Any], name: str, size: int) -> tuple[list[Finding], list[str]]:
    """Compare the chain of so many records with a head kept elsewhere; return also notes."""
    head = read_head(kept)
    name_of_key, signature = str(kept.get("key_id", "")), str(kept.get("signature", ""))
    if signature and not is_signed(chain.public_keys(), name_of_key, head, signature):
        return [
            Finding(Kind.SIGNATURE, head.size, f"The head of {name} has no valid signature.")
        ], []
    found = chain.chain_at(head.size)
    here = found.hex() if found is not None else None
    if here is None and head.size < chain.first_seq():
        here = archived.chain_inside(head.size)
    if here == head.chain:
        return [], []
    fork = declared(head, size)
    if fork is not None:
        return [], [fork]
    if head.size > size:
        text = f"{name} tells of {head.size} records, the database of {size}."
        return [Finding(Kind.TRUNCATED, size + 1, text)], []
    return [Finding(Kind.EDITED, head.size, f"{name} tells of another chain at this place.")], []


def declared(left: Head, size: int) -> str | None:
    """Return how a restore left this head behind, if a genuine, sealed record declares it."""
    rows = AuditRecord.objects.filter(action=RESTORED, payload__contains=left.chain)
    places = {row.pk: row for row in rows}
    for seq, record_id, hashed in chain.sealed(places):
        payload = _payload(places[record_id])
        is_genuine = is_keyed(chain.old_mac_keys(), hashed) and not is_unsigned(hashed)
        if not is_genuine or not isinstance(payload.get("kept_size"), int) or seq > size:
            continue
        kept_size = int(payload["kept_size"])
        kept = chain.chain_at(kept_size)
        told = archived.chain_inside(kept_size) if kept is None else kept.hex()
        is_left = (payload.get("left_size"), payload.get("left_chain")) == (left.size, left.chain)
        if is_left and kept_size < seq and told is not None and told == payload.get("kept_chain"):
            actor = places[record_id].actor_name
            return (
                f"Declared fork: the database was restored by {actor} (record {record_id}). Of "
                f"{left.size} records those after {kept_size} were left behind."
            )
    return None


def _payload(row: AuditRecord) -> dict[str, Any]:
    try:
        found = json.loads(row.payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
