"""Seal records: give each its place in the chain, and sign the head."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.engine.chain import GENESIS, UNSIGNED_ACTION, digest_of, next_chain, told_time
from audit.engine.walk import is_keyed, is_unsigned
from audit.models import AuditArchive, AuditCheckpoint, AuditKey, AuditLink, AuditRecord
from audit.selectors import chain
from audit.services import heads, records
from audit.signals import chain_damaged, database_bypassed
from core import leases
from core.actors import Actor

if TYPE_CHECKING:
    from audit.engine.chain import Signer
    from core.leases import Held

logger = logging.getLogger(__name__)

BATCH: Final = 5_000
SEALER: Final = Actor.schedule("Audit sealer")
# One sealer at a time, wherever it runs.
_LOCK: Final = 0x6F70735F61756474
_FARTHEST: Final = 2**62


@dataclass(frozen=True, slots=True)
class _End:
    size: int
    chain: bytes
    digest: str
    key_id: str
    horizon: int
    last_id: int


def run(held: Held) -> None:
    """Run one slice: write what waited in files, sum up repeats, seal what has committed."""
    for prepare in (records.replay_spilled, records.tell_repeats):
        try:
            prepare()
        except Exception:
            # What waits must not keep from its seal what is written.
            logger.exception("The audit log goes on to seal.")
    seal_all(held)


def seal_all(held: Held | None = None) -> int:
    """Seal everything whose transaction has ended; return how many records."""
    sealed = 0
    while count := _seal_batch(held):
        sealed += count
        if count < BATCH:
            break
    return sealed


def _seal_batch(held: Held | None) -> int:
    with transaction.atomic():
        if held is not None:
            leases.fence(held)
        horizon = only_sealer()
        rows, horizon = _unsealed(horizon)
        if not rows:
            return 0
        checkpoint = _seal(rows, horizon)
        _tell_bypasses([row[0] for row in rows if is_unsigned(row[1])])
    heads.publish(checkpoint)
    return len(rows)


def _seal(rows: list[tuple[int, bytes]], horizon: int) -> AuditCheckpoint:
    end, signer = _end(), chain.signer()
    if end.key_id != signer.key_id:
        _vouch(signer)
    # Links that nobody signed are damage; ours go behind them and build on the signed head.
    foreign = AuditLink.objects.filter(seq__gt=end.size, seq__lt=_FARTHEST).order_by("-seq")
    first = max(end.size, foreign.values_list("seq", flat=True).first() or 0) + 1
    forged = _forged(rows)
    sealed = rows
    if forged:
        # They keep their place, so that nothing is hidden; the record that says so is sealed here
        # and now, and the signed head names their places.
        note = _note_forgery(forged)
        sealed = [*rows, (note.pk, chain.hashed_of(note.pk))]
    links, current = [], end.chain
    for seq, (record_id, hashed) in enumerate(sealed, first):
        digest = digest_of(hashed)
        current = next_chain(current, seq, record_id, digest)
        links.append((record_id, seq, digest, current))
    _insert(links)
    made = AuditCheckpoint(
        at=timezone.now(),
        size=links[-1][1],
        chain=current.hex(),
        prev=end.digest,
        horizon=horizon,
        last_id=max(end.last_id, *(row[0] for row in rows)),
        forged=",".join(str(seq) for record_id, seq, _, _ in links if record_id in forged),
        key_id=signer.key_id,
    )
    made.signature = signer.sign(chain.head_of(made))
    made.save(force_insert=True)
    return made


def _forged(rows: list[tuple[int, bytes]]) -> set[int]:
    """Return the ids of records that the platform did not write, or that are copies of others."""
    keys, digests = chain.mac_keys(), [digest_of(hashed) for _, hashed in rows]
    known = _sealed_digests(digests)
    oldest = AuditArchive.objects.order_by("-to_seq").values_list("last_at", flat=True).first()
    limit = told_time(oldest).encode() if oldest is not None else b""
    forged = set()
    for (record_id, hashed), digest in zip(rows, digests, strict=True):
        # Two changes in the same millisecond are alike; those of the database are not judged.
        is_copy = digest in known or hashed[: len(limit)] < limit
        if not is_keyed(keys, hashed) or (is_copy and not is_unsigned(hashed)):
            forged.add(record_id)
        known.add(digest)
    return forged


def _sealed_digests(digests: list[bytes]) -> set[bytes]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sql = "SELECT digest FROM audit_auditlink WHERE digest = ANY(%s::bytea[])"
            cursor.execute(sql, [digests])
        else:
            places = ", ".join(["%s"] * len(digests))
            cursor.execute(
                f"SELECT digest FROM audit_auditlink WHERE digest IN ({places})",  # noqa: S608  # places
                digests,
            )
        return {bytes(digest) for (digest,) in cursor.fetchall()}


def _note_forgery(forged: set[int]) -> AuditRecord:
    shown = ", ".join(str(key) for key in sorted(forged)[:100])
    logger.error("Records were not written by the platform: %s", shown)
    note = records.record(
        actor=SEALER,
        action="audit.forgery_found",
        reason="Records were changed before they were sealed, or written by somebody else.",
        records=shown,
        count=len(forged),
    )
    transaction.on_commit(lambda: _send_forgery(sorted(forged)))
    return note


def _vouch(signer: Signer) -> None:
    """Let a new key vouch for those before it: their heads must verify when they are gone."""
    for key_id, public in chain.public_keys().items():
        is_known = AuditKey.objects.filter(key_id=key_id, vouched_by=signer.key_id).exists()
        if key_id != signer.key_id and not is_known:
            AuditKey.objects.create(
                key_id=key_id,
                public=public.hex(),
                vouched_by=signer.key_id,
                signature=signer.vouch(public),
            )


def _send_forgery(forged: list[int]) -> None:
    shown = ", ".join(str(key) for key in forged[:10])
    texts = [f"{len(forged)} records were not written by the platform, such as {shown}."]
    chain_damaged.send_robust(AuditRecord, findings=texts)


def only_sealer() -> int:
    """Wait for other sealers; return the first transaction that has not ended, 0 on SQLite."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def _unsealed(horizon: int) -> tuple[list[tuple[int, bytes]], int]:
    """Return ids and what is hashed in the order of commits, as far as it is settled.

    Also return the transaction before which nothing is left to seal.

    On PostgreSQL a record waits until every transaction before its own has ended: an id may be
    drawn early and committed late. Numbers beyond the newest come from another cluster, before a
    restore.
    """
    before = _end()
    if connection.vendor == "postgresql":
        # Whatever had ended then is sealed; numbers of another cluster tell nothing about ours.
        low = before.horizon if before.horizon <= horizon else 0
        settled = (
            "r.xid >= %s "
            "AND (r.xid < %s OR r.xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"
        )
        order, values = "r.xid, r.id", [low, horizon, BATCH]
    else:
        # One writer: ids rise in the order of commits.
        settled, order, values = "r.id > %s", "r.id", [before.last_id, BATCH]
    sql = (
        f"SELECT r.id, {chain.hashed_sql('r')}, r.xid FROM audit_auditrecord r "  # noqa: S608  # names of columns
        f"WHERE {settled} AND r.id > 0 "
        "AND NOT EXISTS (SELECT 1 FROM audit_auditlink l WHERE l.record_id = r.id) "
        f"ORDER BY {order} LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found = cursor.fetchall()
    rows = [(key, raw if isinstance(raw, bytes) else raw.encode()) for key, raw, _ in found]
    return rows, min(horizon, found[-1][2]) if len(found) == BATCH else horizon


def _insert(links: list[tuple[int, int, bytes, bytes]]) -> None:
    into = "INSERT INTO audit_auditlink (record_id, seq, digest, chain) "
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = [list(column) for column in zip(*links, strict=True)]
            unnested = "SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[])"
            cursor.execute(into + unnested, arrays)
        else:
            cursor.executemany(f"{into}VALUES (%s, %s, %s, %s)", links)


def _end() -> _End:
    checkpoint = chain.last_checkpoint()
    if checkpoint is None:
        return _End(0, GENESIS, "", "", 0, 0)
    head = chain.head_of(checkpoint)
    return _End(
        head.size,
        bytes.fromhex(head.chain),
        head.digest(checkpoint.signature),
        checkpoint.key_id,
        checkpoint.horizon,
        checkpoint.last_id,
    )


def _tell_bypasses(record_ids: list[int]) -> None:
    if not record_ids:
        return
    found = list(AuditRecord.objects.filter(pk__in=record_ids, action=UNSIGNED_ACTION)[:100])
    for receiver, error in _sent(found):
        # The seal must not wait for whoever is told; the records stay for everybody to see.
        logger.error("%s could not be told of a bypass: %s", receiver, error)


def _sent(found: list[AuditRecord]) -> list[tuple[Any, Exception]]:
    try:
        with transaction.atomic():
            answers = database_bypassed.send_robust(AuditRecord, records=found) if found else []
    except DatabaseError as error:
        return [("The database", error)]
    return [(receiver, answer) for receiver, answer in answers if isinstance(answer, Exception)]
