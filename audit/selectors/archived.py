"""Read archives: whether a file still verifies, and what it says of a place in the chain."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from audit.engine.chain import (
    BODY_FIELDS,
    SEPARATOR,
    Head,
    digest_of,
    is_signed,
    next_chain,
    read_head,
)
from audit.engine.walk import Finding, Kind
from audit.models import AuditArchive
from audit.selectors import chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_GENESIS: Final = bytes(32).hex()


class DamagedArchiveError(Exception):
    """A file does not hold what its row says; the text tells what is wrong."""


def folder() -> Path:
    """Return where archives lie."""
    return Path(settings.OPS_DATA_DIR) / "audit" / "archive"


def verify() -> list[Finding]:
    """Verify that the archives join, that each file holds what it should, and what was forged."""
    found: list[Finding] = []
    before, expected = _GENESIS, 1
    for archive in AuditArchive.objects.order_by("from_seq"):
        if archive.from_seq != expected or archive.chain_before != before:
            text = f"The archive of {archive.from_seq} to {archive.to_seq} does not join."
            found.append(Finding(Kind.ARCHIVE, archive.from_seq, text))
        try:
            forged = check(archive)
        except DamagedArchiveError as damage:
            found.append(Finding(Kind.ARCHIVE, archive.from_seq, f"{archive.file}: {damage}"))
        else:
            text = f"The platform did not write this record; it is in {archive.file}."
            found += [Finding(Kind.FORGED, seq, text) for seq in forged]
        before, expected = archive.chain_after, archive.to_seq + 1
    return found


def check(archive: AuditArchive) -> list[int]:
    """Return the places of forged records; raises DamagedArchiveError."""
    forged: list[int] = []
    _each(archive, lambda head: forged.extend(head.forged_seqs))
    return forged


def chain_inside(size: int) -> str | None:
    """Return the chain at a place within an archive that verifies; None if none does."""
    archive = AuditArchive.objects.filter(from_seq__lte=size, to_seq__gte=size).first()
    if archive is None:
        return None
    try:
        return _each(archive, lambda _: None, size)
    except DamagedArchiveError:
        return None


def _each(archive: AuditArchive, told: Callable[[Head], Any], place: int = 0) -> str | None:
    """Read a whole file; return the chain at a place of it."""
    try:
        raw = (folder() / archive.file).read_bytes()
    except (OSError, ValueError):
        message = "the file is not there"
        raise DamagedArchiveError(message) from None
    if hashlib.sha256(raw).hexdigest() != archive.sha256:
        message = "the file was changed"
        raise DamagedArchiveError(message)
    try:
        return _walk(archive, gzip.decompress(raw).decode().splitlines(), told, place)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        message = f"it cannot be read ({type(error).__name__})"
        raise DamagedArchiveError(message) from None


def _walk(
    archive: AuditArchive, lines: list[str], told: Callable[[Head], Any], place: int
) -> str | None:
    current, seq, signed = bytes.fromhex(archive.chain_before), archive.from_seq - 1, 0
    found: str | None = None
    last: tuple[Head, Mapping[str, Any]] | None = None
    for entry in _entries(lines):
        if "checkpoint" in entry:
            head = read_head(entry["checkpoint"])
            if (head.size, head.chain) != (seq, current.hex()):
                message = f"the signed head at {head.size} is another"
                raise DamagedArchiveError(message)
            last, signed = (head, entry["checkpoint"]), seq
            told(head)
            continue
        seq += 1
        texts = [entry["record"][name] for name in BODY_FIELDS]
        hashed = SEPARATOR.join([*texts, entry["mac"]]).encode()
        current = next_chain(current, seq, int(entry["id"]), digest_of(hashed))
        if entry["seq"] != seq or entry["chain"] != current.hex():
            message = f"the record at {seq} does not fit the chain"
            raise DamagedArchiveError(message)
        if seq == place:
            found = current.hex()
    if last is None or (seq, current.hex(), signed) != (archive.to_seq, archive.chain_after, seq):
        message = "it does not end where it should"
        raise DamagedArchiveError(message)
    head, row = last
    if not is_signed(chain.public_keys(), str(row["key_id"]), head, str(row["signature"])):
        message = "its last head is not signed by a trusted key"
        raise DamagedArchiveError(message)
    return found


def _entries(lines: list[str]) -> Iterator[dict[str, Any]]:
    # The first line tells the range, which the row in the database tells as well.
    for line in lines[1:]:
        yield json.loads(line)
