"""Read the chain: its head, its lag, and rows as they are hashed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils import timezone

from audit.engine.chain import (
    BODY_FIELDS,
    GENESIS,
    SEPARATOR,
    Head,
    Signer,
    digest_of,
    is_signed,
    is_vouched,
    key_name,
    read_head,
)
from audit.engine.keys import MAC_KEY, SIGNING_KEY
from audit.models import (
    AuditArchive,
    AuditCheckpoint,
    AuditKey,
    AuditLink,
    AuditRecord,
    AuditVerification,
)
from core.crypto import key_id
from core.keyring import KeyringError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PAGE: Final = 10_000


def hashed_sql(alias: str) -> str:
    """Return SQL for what is hashed of a record: its body, U+001F and its keyed digest.

    It is NULL where there is no record, and empty where a column is NULL, which none of ours is.
    """
    names = [f"{alias}.{name}" for name in (*BODY_FIELDS[1:], "mac")]
    if connection.vendor == "postgresql":
        at = f"to_char({alias}.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        era = f"CASE WHEN {alias}.at < '0001-01-01 00:00:00+00' THEN ' BC' ELSE '' END"
        columns = ", ".join(names)
        # Joining with NULL left out would hide that two columns became one.
        joined = f"concat_ws(chr(31), {at} || {era}, {columns})"
        whole = f"num_nulls({alias}.at, {columns}) = 0"
        return f"CASE WHEN {whole} THEN {joined} WHEN {alias}.id IS NOT NULL THEN '' END"
    # Django leaves out microseconds that are zero. The operator keeps NUL; printf stops there.
    at = f"CASE length({alias}.at) WHEN 19 THEN {alias}.at || '.000000' ELSE {alias}.at END"
    joined = f" || '{SEPARATOR}' || ".join([at, *names])
    whole = f"coalesce(CAST({joined} AS BLOB), x'')"
    return f"CASE WHEN {alias}.id IS NOT NULL THEN {whole} END"


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


def sealed(record_ids: Iterable[int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield place, id and what is hashed of records that are sealed and still as they were."""
    sql = (
        f"SELECT l.seq, r.id, l.digest, {hashed_sql('r')} FROM audit_auditrecord r "  # noqa: S608  # names of columns
        "JOIN audit_auditlink l ON l.record_id = r.id WHERE r.id = %s"
    )
    for record_id in record_ids:
        with connection.cursor() as cursor:
            cursor.execute(sql, [record_id])
            found = cursor.fetchone()
        if found is not None:
            seq, key, digest, hashed = found
            raw = hashed if isinstance(hashed, bytes) else hashed.encode()
            if digest_of(raw) == digest:
                yield seq, key, raw


def hashed_of(record_id: int) -> bytes:
    """Return what is hashed of one record."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {hashed_sql('r')} FROM audit_auditrecord r WHERE r.id = %s",  # noqa: S608  # names of columns
            [record_id],
        )
        found = cursor.fetchone()[0]
    return found if isinstance(found, bytes) else str(found).encode()


def mac_keys() -> dict[str, bytes]:
    """Return the keys of keyed digests that new records may have, by their names."""
    settings.KEYRING.ensure(MAC_KEY)
    return {key_id(secret): secret.encode() for secret in settings.KEYRING.all_valid(MAC_KEY)}


def old_mac_keys() -> dict[str, bytes]:
    """Return every key of keyed digests that the keyring remembers: old records have old ones."""
    kept = [version["value"] for version in settings.KEYRING.versions(MAC_KEY)]
    return {**{key_id(secret): secret.encode() for secret in kept if secret}, **mac_keys()}


def signer() -> Signer:
    """Return what signs heads of the chain now.

    Raises KeyringError when the key is lost: a new one in its place would hide who signs now.
    """
    if not settings.KEYRING.versions(SIGNING_KEY) and AuditCheckpoint.objects.exists():
        message = (
            f"The key that signs the audit log is gone: {SIGNING_KEY} is not in the keyring, and "
            "the log has signed heads. Bring the keyring back from its backup."
        )
        raise KeyringError(message)
    return Signer(settings.KEYRING.ensure(SIGNING_KEY))


def public_keys() -> dict[str, bytes]:
    """Return the public keys that signatures are trusted of, by their names.

    The keyring's own, and earlier ones for which a trusted key has vouched.
    """
    own = signer()
    found = [Signer(secret) for secret in settings.KEYRING.all_valid(SIGNING_KEY)]
    trusted = {one.key_id: one.public for one in (*found, own)}
    waiting = list(AuditKey.objects.all())
    while waiting:
        left = [row for row in waiting if not _is_trusted(trusted, row)]
        if len(left) == len(waiting):
            break
        waiting = left
    return trusted


def _is_trusted(trusted: dict[str, bytes], row: AuditKey) -> bool:
    try:
        public = bytes.fromhex(row.public)
    except (TypeError, ValueError):
        return False
    if key_name(public) != row.key_id:
        return False
    if is_vouched(trusted.get(row.vouched_by), public, row.signature):
        trusted[row.key_id] = public
        return True
    return False


def head_of(checkpoint: AuditCheckpoint) -> Head:
    """Return the head as it was signed."""
    at = checkpoint.at.astimezone(UTC).isoformat(timespec="microseconds")
    return Head(checkpoint.size, checkpoint.chain, at, checkpoint.prev, checkpoint.forged)


def sound_head(checkpoint: AuditCheckpoint, keys: Mapping[str, bytes]) -> Head | None:
    """Return the head, or None where the row is spoilt or no trusted key has signed it."""
    try:
        head = head_of(checkpoint)
        head.digest(checkpoint.signature)
        assert all(seq > 0 for seq in head.forged_seqs)  # noqa: S101  # caught below, as a fault
    except (AssertionError, AttributeError, TypeError, ValueError):
        return None
    return head if is_signed(keys, checkpoint.key_id, head, checkpoint.signature) else None


def last_checkpoint() -> AuditCheckpoint | None:
    """Return the newest head that a trusted key has signed; a spoilt one is passed over."""
    newest = AuditCheckpoint.objects.order_by("-id").values_list("id", flat=True)
    keys: dict[str, bytes] = {}
    for key in newest.iterator(chunk_size=100):
        keys = keys or public_keys()
        checkpoint = checkpoint_at(key)
        if checkpoint is not None and sound_head(checkpoint, keys) is not None:
            return checkpoint
    return None


def checkpoint_at(key: int) -> AuditCheckpoint | None:
    """Return a head; None where its row cannot even be read."""
    try:
        return AuditCheckpoint.objects.get(pk=key)
    except (TypeError, ValueError):
        return None


def told(checkpoint: AuditCheckpoint) -> dict[str, str | int]:
    """Return a checkpoint as it leaves the machine: in the log, in a file, in a manifest."""
    head = head_of(checkpoint)
    return {
        "size": head.size,
        "chain": head.chain,
        "at": head.at,
        "prev": head.prev,
        "forged": head.forged,
        "key_id": checkpoint.key_id,
        "signature": checkpoint.signature,
    }


def head_file() -> Path:
    """Return where this machine keeps the newest head that it has seen."""
    return Path(settings.OPS_DATA_DIR) / "audit" / "head.json"


def kept_head() -> Mapping[str, Any] | None:
    """Return the head that this machine keeps beside the database.

    Raises ValueError when the file holds something else: nobody but the platform writes it.
    """
    try:
        text = head_file().read_bytes()
    except FileNotFoundError:
        return None
    found: Mapping[str, Any] = json.loads(text)
    read_head(found)
    return found


def chain_at(size: int) -> bytes | None:
    """Return the chain after so many records; None if neither a row nor an archive tells."""
    if size == 0:
        return GENESIS
    found = AuditLink.objects.filter(seq=size).values_list("chain", flat=True).first()
    if found is not None:
        return bytes(found)
    archived = AuditArchive.objects.filter(to_seq=size).values_list("chain_after", flat=True)
    try:
        return bytes.fromhex(archived[0]) if archived else None
    except (TypeError, ValueError):
        # A spoilt row tells nothing.
        return None


def first_seq() -> int:
    """Return the place of the oldest record that is still in the database."""
    last = AuditArchive.objects.order_by("-to_seq").values_list("to_seq", flat=True).first()
    return (last or 0) + 1


def seal_lag_seconds() -> float:
    """Return how long the oldest record waits for its seal; above a minute something is wrong."""
    after = AuditCheckpoint.objects.order_by("-id").values_list("last_id", flat=True).first() or 0
    sealed = AuditLink.objects.filter(record_id=OuterRef("pk"))
    waiting = AuditRecord.objects.filter(~Exists(sealed), id__gt=after).order_by("id")
    oldest: datetime | None = waiting.values_list("at", flat=True).first()
    return max(0.0, (timezone.now() - oldest).total_seconds()) if oldest is not None else 0.0


def last_verification() -> AuditVerification | None:
    """Return the newest look at the whole chain that came to an end."""
    done = AuditVerification.objects.filter(state=AuditVerification.State.DONE)
    return done.order_by("-finished_at").first()
