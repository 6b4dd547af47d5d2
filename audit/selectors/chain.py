"""Read the chain: its head, its lag, and rows as they are hashed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from audit.engine.chain import BODY_FIELDS, GENESIS, SEPARATOR, Head, Signer
from audit.engine.keys import MAC_KEY, SIGNING_KEY
from audit.models import AuditArchive, AuditCheckpoint, AuditLink, AuditRecord, AuditVerification
from core.crypto import key_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PAGE: Final = 10_000


def hashed_sql(alias: str) -> str:
    """Return SQL for what is hashed of a record: its body, U+001F and its keyed digest."""
    columns = ", ".join(f"{alias}.{name}" for name in (*BODY_FIELDS[1:], "mac"))
    if connection.vendor == "postgresql":
        time = f"to_char({alias}.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        return f"CASE WHEN {alias}.id IS NOT NULL THEN concat_ws(chr(31), {time}, {columns}) END"
    # Django leaves out microseconds that are zero. One call joins faster than the operator does.
    at = f"CASE length({alias}.at) WHEN 19 THEN {alias}.at || '.000000' ELSE {alias}.at END"
    places = SEPARATOR.join(["%%s"] * (len(BODY_FIELDS) + 1))
    joined = f"CAST(printf('{places}', {at}, {columns}) AS BLOB)"
    return f"CASE WHEN {alias}.id IS NOT NULL THEN {joined} END"


def links(after: int, to: int) -> Iterator[list[Any]]:
    """Yield pages of links with what is hashed of their records, in order: what `Walk` takes."""
    sql = (
        f"SELECT l.seq, l.record_id, l.digest, l.chain, {hashed_sql('r')} "  # noqa: S608  # names of columns
        "FROM audit_auditlink l LEFT JOIN audit_auditrecord r ON r.id = l.record_id "
        "WHERE l.seq > %s AND l.seq <= %s ORDER BY l.seq LIMIT %s"
    )
    while True:
        with connection.cursor() as cursor:
            cursor.execute(sql, [after, to, _PAGE])
            page = cursor.fetchall()
        if not page:
            return
        yield page
        after = page[-1][0]


def mac_keys() -> dict[str, bytes]:
    """Return the keys of keyed digests that the keyring holds, by their names."""
    settings.KEYRING.ensure(MAC_KEY)
    return {key_id(secret): secret.encode() for secret in settings.KEYRING.all_valid(MAC_KEY)}


def signer() -> Signer:
    """Return what signs heads of the chain now."""
    return Signer(settings.KEYRING.ensure(SIGNING_KEY))


def public_keys() -> dict[str, bytes]:
    """Return the public keys that signatures are trusted of, by their names."""
    settings.KEYRING.ensure(SIGNING_KEY)
    found = [Signer(secret) for secret in settings.KEYRING.all_valid(SIGNING_KEY)]
    return {one.key_id: one.public for one in found}


def head_of(checkpoint: AuditCheckpoint) -> Head:
    """Return the head as it was signed."""
    at = checkpoint.at.astimezone(UTC).isoformat(timespec="microseconds")
    return Head(checkpoint.size, checkpoint.chain, at, checkpoint.prev)


def last_checkpoint() -> AuditCheckpoint | None:
    """Return the newest signed head."""
    return AuditCheckpoint.objects.order_by("-id").first()


def told(checkpoint: AuditCheckpoint) -> dict[str, str | int]:
    """Return a checkpoint as it leaves the machine: in the log, in a file, in a manifest."""
    head = head_of(checkpoint)
    return {
        "size": head.size,
        "chain": head.chain,
        "at": head.at,
        "prev": head.prev,
        "key_id": checkpoint.key_id,
        "signature": checkpoint.signature,
    }


def head_file() -> Path:
    """Return where this machine keeps the newest head that it has seen."""
    return Path(settings.OPS_DATA_DIR) / "audit" / "head.json"


def kept_head() -> Mapping[str, Any] | None:
    """Return the head that this machine keeps beside the database."""
    try:
        found = json.loads(head_file().read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "size" in found and "chain" in found else None


def chain_at(size: int) -> bytes | None:
    """Return the chain after so many records; None if neither a row nor an archive tells."""
    if size == 0:
        return GENESIS
    found = AuditLink.objects.filter(seq=size).values_list("chain", flat=True).first()
    if found is not None:
        return bytes(found)
    archived = AuditArchive.objects.filter(to_seq=size).values_list("chain_after", flat=True)
    return bytes.fromhex(archived[0]) if archived else None


def first_seq() -> int:
    """Return the place of the oldest record that is still in the database."""
    last = AuditArchive.objects.order_by("-to_seq").values_list("to_seq", flat=True).first()
    return (last or 0) + 1


def seal_lag_seconds() -> float:
    """Return how long the oldest record waits for its seal; above a minute something is wrong."""
    checkpoint = last_checkpoint()
    after = checkpoint.last_id if checkpoint is not None else 0
    waiting = AuditRecord.objects.filter(id__gt=after).order_by("id").values_list("at", flat=True)
    oldest: datetime | None = waiting.first()
    return max(0.0, (timezone.now() - oldest).total_seconds()) if oldest is not None else 0.0


def last_verification() -> AuditVerification | None:
    """Return the newest look at the whole chain that came to an end."""
    done = AuditVerification.objects.filter(state=AuditVerification.State.DONE)
    return done.order_by("-finished_at").first()
