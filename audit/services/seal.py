"""Seal records: give each its place in the chain, and sign the head."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.engine.chain import GENESIS, UNSIGNED_ACTION, digest_of, next_chain
from audit.engine.walk import is_keyed
from audit.models import AuditCheckpoint, AuditLink, AuditRecord
from audit.selectors import chain
from audit.services import records
from audit.signals import chain_damaged, database_bypassed
from core import leases
from core.actors import Actor

if TYPE_CHECKING:
    from core.leases import Held

logger = logging.getLogger(__name__)

BATCH: Final = 5_000
SEALER: Final = Actor.schedule("Audit sealer")
# One sealer at a time, wherever it runs.
_LOCK: Final = 0x6F70735F61756474
# A statement may have drawn its id just before its transaction got a number.
_MARGIN: Final = 10_000
_UNSIGNED: Final = f"\x1f{UNSIGNED_ACTION}\x1f".encode()


@dataclass(frozen=True, slots=True)
class _End:
    size: int
    chain: bytes
    digest: str


def run(held: Held) -> None:
    """Run one slice: write what waited in files, sum up repeats, seal what has committed."""
    records.replay_spilled()
    records.tell_repeats()
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
        rows = _unsealed(horizon)
        if not rows:
            return 0
        checkpoint = _seal(rows, horizon)
        _tell_bypasses([row[0] for row in rows if _UNSIGNED in row[1]])
    _publish(checkpoint)
    return len(rows)


def _seal(rows: list[tuple[int, bytes]], horizon: int) -> AuditCheckpoint:
    end = _end()
    links, current = [], end.chain
    keys, forged = chain.mac_keys(), []
    # Links that nobody signed are damage; ours go behind them and build on the signed head.
    foreign = AuditLink.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    first = max(end.size, foreign) + 1
    for seq, (record_id, hashed) in enumerate(rows, first):
        if not is_keyed(keys, hashed):
            forged.append(record_id)
        digest = digest_of(hashed)
        current = next_chain(current, seq, record_id, digest)
        links.append((record_id, seq, digest, current))
    _insert(links)
    before = chain.last_checkpoint()
    made = AuditCheckpoint(
        at=timezone.now(),
        size=links[-1][1],
        chain=current.hex(),
        prev=end.digest,
        horizon=horizon,
        last_id=max(rows[-1][0], *(row[0] for row in rows), before.last_id if before else 0),
    )
    signer = chain.signer()
    made.key_id = signer.key_id
    made.signature = signer.sign(chain.head_of(made))
    made.save(force_insert=True)
    if forged:
        # They keep their place, so that nothing is hidden; this record, sealed next, says so.
        logger.error("Records were not written by the platform: %s", forged[:100])
        records.record(
            actor=SEALER,
            action="audit.forgery_found",
            reason="Records were changed before they were sealed, or written by somebody else.",
            records=", ".join(str(key) for key in forged[:100]),
            count=len(forged),
        )
        transaction.on_commit(lambda: _send_forgery(forged))
    return made


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


def _unsealed(horizon: int) -> list[tuple[int, bytes]]:
    """Return ids, bodies and keyed digests in the order of commits, as far as it is settled.

    On PostgreSQL a record waits until every transaction before its own has ended: an id may be
    drawn early and committed late. Numbers beyond the newest come from another cluster, before a
    restore.
    """
    checkpoints = AuditCheckpoint.objects.order_by("-id").values_list("last_id", flat=True)
    if connection.vendor == "postgresql":
        low = max(0, (checkpoints.filter(horizon__lt=horizon).first() or 0) - _MARGIN)
        settled = (
            "AND (r.xid < %s OR r.xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint) "
            "AND NOT EXISTS (SELECT 1 FROM audit_auditlink l WHERE l.record_id = r.id) "
            "ORDER BY r.xid, r.id"
        )
        values = [low, horizon, BATCH]
    else:
        # One writer: ids rise in the order of commits.
        settled, values = "ORDER BY r.id", [checkpoints.first() or 0, BATCH]
    sql = (
        f"SELECT r.id, {chain.hashed_sql('r')} FROM audit_auditrecord r "  # noqa: S608  # names of columns
        f"WHERE r.id > %s {settled} LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found = cursor.fetchall()
    return [(key, raw if isinstance(raw, bytes) else raw.encode()) for key, raw in found]


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
        return _End(0, GENESIS, "")
    head = chain.head_of(checkpoint)
    return _End(head.size, bytes.fromhex(head.chain), head.digest(checkpoint.signature))


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


def _publish(checkpoint: AuditCheckpoint) -> None:
    """Let the head leave the database: into the log, and a file of this machine."""
    told = chain.told(checkpoint)
    logger.info("The audit log is sealed.", extra=told)
    kept = chain.kept_head()
    if kept is not None and not _follows(kept, checkpoint):
        logger.error("The audit log no longer contains the head that %s keeps.", chain.head_file())
        return
    keep_head(told)


def keep_head(told: dict[str, str | int]) -> None:
    """Write the head that this machine keeps; the file is replaced as a whole."""
    path = chain.head_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".head.")
    with os.fdopen(descriptor, "w") as file:
        json.dump(told, file)
    Path(temporary).replace(path)


def _follows(kept: Any, checkpoint: AuditCheckpoint) -> bool:  # noqa: ANN401  # from a file
    if kept["size"] > checkpoint.size:
        return False
    found = chain.chain_at(int(kept["size"]))
    return found is None or found.hex() == kept["chain"]
