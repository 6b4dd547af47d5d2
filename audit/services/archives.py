"""Move sealed records beyond their retention into files that still verify."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit.engine.chain import BODY_FIELDS, SEPARATOR, Head, digest_of, is_signed, next_chain
from audit.engine.walk import Finding, Kind
from audit.models import AuditArchive, AuditCheckpoint
from audit.selectors import chain
from audit.services import guards, records, seal
from core.actors import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

ARCHIVER: Final = Actor.schedule("Audit retention")
FORMAT: Final = "ops-audit-archive-1"
# One file holds about so many records: its deletion locks the log for a moment.
_MOST: Final = 20_000


def archive_all() -> int:
    """Archive everything beyond the retention; return how many records left the database."""
    if settings.OPS_AUDIT_LEGAL_HOLD:
        logger.info("Audit records stay where they are: OPS_AUDIT_LEGAL_HOLD is set.")
        return 0
    seal.seal_all()
    moved = 0
    while count := _archive_next(
        timezone.now() - timedelta(days=settings.OPS_AUDIT_RETENTION_DAYS)
    ):
        moved += count
    return moved


def folder() -> Path:
    """Return where archives lie."""
    return Path(settings.OPS_DATA_DIR) / "audit" / "archive"


def verify() -> list[Finding]:
    """Verify that the archives join, and that each file holds what it should."""
    found: list[Finding] = []
    before, expected = bytes(32).hex(), 1
    for archive in AuditArchive.objects.order_by("from_seq"):
        if archive.from_seq != expected or archive.chain_before != before:
            text = f"The archive of {archive.from_seq} to {archive.to_seq} does not join."
            found.append(Finding(Kind.ARCHIVE, archive.from_seq, text))
        problem = _problem(archive)
        if problem:
            found.append(Finding(Kind.ARCHIVE, archive.from_seq, f"{archive.file}: {problem}"))
        before, expected = archive.chain_after, archive.to_seq + 1
    return found


def _archive_next(until: datetime) -> int:
    first = chain.first_seq()
    last = _last_before(until, first)
    sizes = AuditCheckpoint.objects.filter(size__gte=first, size__lte=last).order_by("size")
    within = sizes.filter(size__lt=first + _MOST).last() or sizes.first()
    if within is None:
        return 0
    to = within.size
    before = chain.chain_at(first - 1)
    assert before is not None, "The chain has no beginning."  # noqa: S101  # first_seq says so
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
    if problem := _problem(archive):
        # Damage stays in the database, where it can be looked at; verification names it.
        logger.error("Nothing was archived from %s on: %s", first, problem)
        return 0
    _let_go(archive)
    return to - first + 1


def _let_go(archive: AuditArchive) -> None:
    """Delete what the file holds, and note the file, in one transaction.

    A process that dies before has left a file that is written again; one that dies after has
    left everything in order.
    """
    span = [archive.from_seq, archive.to_seq]
    with transaction.atomic():
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
    place = folder()
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
                raise RuntimeError(message)
            text = hashed.decode() if isinstance(hashed, bytes) else hashed
            yield seq, record_id, digest, link, text


def _problem(archive: AuditArchive) -> str:
    """Return what is wrong with an archive's file, or nothing."""
    path = folder() / archive.file
    try:
        raw = path.read_bytes()
    except OSError:
        return "the file is not there"
    if hashlib.sha256(raw).hexdigest() != archive.sha256:
        return "the file was changed"
    current, seq, signed = bytes.fromhex(archive.chain_before), archive.from_seq - 1, 0
    keys = chain.public_keys()
    entries = iter(gzip.decompress(raw).decode().splitlines())
    next(entries)
    last: dict[str, Any] = {}
    for line in entries:
        entry = json.loads(line)
        if "checkpoint" in entry:
            last = entry["checkpoint"]
            if (last["size"], last["chain"]) != (seq, current.hex()):
                return f"the signed head at {last['size']} is another"
            signed = seq
            continue
        seq += 1
        texts = [entry["record"][name] for name in BODY_FIELDS]
        hashed = SEPARATOR.join([*texts, entry["mac"]]).encode()
        current = next_chain(current, seq, entry["id"], digest_of(hashed))
        if entry["seq"] != seq or entry["chain"] != current.hex():
            return f"the record at {seq} does not fit the chain"
    if seq != archive.to_seq or current.hex() != archive.chain_after or signed != seq:
        return "it does not end where it should"
    head = Head(last["size"], last["chain"], last["at"], last["prev"])
    if not is_signed(keys, last["key_id"], head, last["signature"]):
        return "its last head is not signed by a key of the keyring"
    return ""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
