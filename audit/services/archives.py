"""Move sealed records beyond their retention into files that still verify."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone

from audit.engine.chain import BODY_FIELDS, SEPARATOR
from audit.models import AuditArchive, AuditCheckpoint, AuditRecord
from audit.selectors import archived, chain
from audit.selectors.archived import DamagedArchiveError
from audit.services import guards, records, seal
from audit.signals import retention_stuck
from core.actors import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

ARCHIVER: Final = Actor.schedule("Audit retention")
FORMAT: Final = "ops-audit-archive-1"
# One file holds about so many records: its deletion locks the log for a moment.
_MOST: Final = 20_000
# A log that was not written for a week and then goes on has no clock to be trusted at once.
_WEEK: Final = timedelta(days=7)
# The tables are locked for the deletion: whoever reads or writes must not wait behind it.
_TRIES: Final = 60
_PAUSE_SECONDS: Final = 1.0


class ArchivingError(Exception):
    """Records beyond their retention stay in the database; the text says why."""


def archive_all() -> int:
    """Archive everything beyond the retention; return how many records left the database.

    What keeps it from going on is put on the record and opens an incident.
    """
    if settings.OPS_AUDIT_LEGAL_HOLD:
        logger.info("Audit records stay where they are: OPS_AUDIT_LEGAL_HOLD is set.")
        return 0
    moved = 0
    try:
        _refuse_doubtful_clock()
        seal.seal_all()
        while count := _archive_next(
            timezone.now() - timedelta(days=settings.OPS_AUDIT_RETENTION_DAYS)
        ):
            moved += count
    except (ArchivingError, DatabaseError, OSError) as error:
        _tell_stuck(str(error) or type(error).__name__)
    return moved


def _tell_stuck(reason: str) -> None:
    logger.error("The retention of the audit log makes no progress: %s", reason)
    records.record_error(actor=ARCHIVER, action="audit.archive_failed", reason=reason)
    retention_stuck.send_robust(AuditRecord, reason=reason)


def _refuse_doubtful_clock() -> None:
    """Refuse while the log has a gap: a clock that was set forward would archive everything.

    Once a week has been sealed behind the gap, the clock is believed.
    """
    now = timezone.now()
    older = AuditCheckpoint.objects.filter(at__lte=now - _WEEK).order_by("-at").first()
    if older is not None and older.at < now - 2 * _WEEK:
        message = (
            f"Nothing was sealed from {older.at:%Y-%m-%d} until within a week of {now:%Y-%m-%d}. "
            "If the clock is right, archiving goes on once a week has been sealed."
        )
        raise ArchivingError(message)


def _archive_next(until: datetime) -> int:
    first = chain.first_seq()
    last = _last_before(until, first)
    sizes = AuditCheckpoint.objects.filter(size__gte=first, size__lte=last).order_by("size")
    within = sizes.filter(size__lt=first + _MOST).last() or sizes.first()
    if within is None:
        return 0
    to = within.size
    before = chain.chain_at(first - 1)
    if before is None:
        message = f"The chain before {first} is gone; run verify_audit_chain."
        raise ArchivingError(message)
    path, times = _write(first, to, before)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    archive = AuditArchive(
        from_seq=first,
        to_seq=to,
        first_at=times[0],
        last_at=times[1],
        chain_before=before.hex(),
        chain_after=within.chain,
        file=path.name,
        sha256=digest,
        size_bytes=path.stat().st_size,
    )
    try:
        archived.check(archive)
    except DamagedArchiveError as damage:
        # Damage stays in the database, where it can be looked at; verification names it.
        message = f"Nothing was archived from {first} on: {damage}."
        raise ArchivingError(message) from damage
    for tries in range(1, _TRIES + 1):
        try:
            _let_go(archive)
            break
        except OperationalError:
            if connection.vendor != "postgresql" or tries == _TRIES:
                raise
            time.sleep(_PAUSE_SECONDS)
    return to - first + 1


def _let_go(archive: AuditArchive) -> None:
    """Delete what the file holds, and note the file, in one transaction.

    A process that dies before has left a file that is written again; one that dies after has
    left everything in order.
    """
    span = [archive.from_seq, archive.to_seq]
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '500ms'")
        seal.only_sealer()
        if AuditArchive.objects.filter(to_seq__gte=archive.from_seq).exists():
            return
        guards.open_log()
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM audit_auditrecord WHERE id IN (SELECT record_id "
                "FROM audit_auditlink WHERE seq BETWEEN %s AND %s)",
                span,
            )
            cursor.execute("DELETE FROM audit_auditlink WHERE seq BETWEEN %s AND %s", span)
            cursor.execute("DELETE FROM audit_auditcheckpoint WHERE size < %s", [archive.to_seq])
        archive.save(force_insert=True)
        records.record(
            actor=ARCHIVER,
            action="audit.archived",
            target=archive,
            file=archive.file,
            sha256=archive.sha256,
            records=archive.to_seq - archive.from_seq + 1,
        )
        guards.install()


def _last_before(until: datetime, first: int) -> int:
    """Return the last place before the first record that is still to be kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(l.seq), (SELECT max(seq) FROM audit_auditlink) FROM audit_auditlink l "
            "JOIN audit_auditrecord r ON r.id = l.record_id WHERE l.seq >= %s AND r.at >= %s",
            [first, connection.ops.adapt_datetimefield_value(until)],
        )
        kept, last = cursor.fetchone()
    return int(kept - 1 if kept is not None else last or 0)


def _write(first: int, to: int, before: bytes) -> tuple[Path, tuple[datetime, datetime]]:
    place = archived.folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = place / f"audit-{first:012d}-{to:012d}.jsonl.gz"
    temporary = path.with_suffix(".part")
    heads = {
        checkpoint.size: chain.told(checkpoint)
        for checkpoint in AuditCheckpoint.objects.filter(size__gte=first, size__lte=to)
    }
    first_at = last_at = ""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:

            def write(entry: dict[str, Any]) -> None:
                packed.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

            write(
                {
                    "format": FORMAT,
                    "from_seq": first,
                    "to_seq": to,
                    "chain_before": before.hex(),
                    "fields": list(BODY_FIELDS),
                }
            )
            for seq, record_id, digest, link, hashed in _rows(first, to):
                *texts, mac = hashed.split(SEPARATOR)
                if len(texts) != len(BODY_FIELDS):
                    message = f"The record at {seq} has no {len(BODY_FIELDS)} columns."
                    raise ArchivingError(message)
                body = dict(zip(BODY_FIELDS, texts, strict=True))
                first_at, last_at = first_at or body["at"], body["at"]
                write(
                    {
                        "seq": seq,
                        "id": record_id,
                        "record": body,
                        "mac": mac,
                        "digest": bytes(digest).hex(),
                        "chain": bytes(link).hex(),
                    }
                )
                if seq in heads:
                    write({"checkpoint": heads[seq]})
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    opened = os.open(place, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
    return path, (_moment(first_at), _moment(last_at))


def _rows(first: int, to: int) -> Iterator[tuple[int, int, bytes, bytes, str]]:
    for page in chain.links(first - 1, to):
        for seq, record_id, digest, link, hashed in page:
            if hashed is None:
                message = f"The record at {seq} is gone; run verify_audit_chain."
                raise ArchivingError(message)
            try:
                text = hashed.decode() if isinstance(hashed, bytes) else hashed
            except UnicodeDecodeError:
                message = f"The record at {seq} is no text; run verify_audit_chain."
                raise ArchivingError(message) from None
            yield seq, record_id, digest, link, text


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
