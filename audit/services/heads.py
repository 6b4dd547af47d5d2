"""Heads that leave the database: into the log, and into a file of this machine."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit.engine.chain import read_head
from audit.models import AuditArchive, AuditRecord
from audit.selectors import archived, chain, heads, soundness
from audit.signals import chain_damaged

if TYPE_CHECKING:
    from audit.engine.chain import Head
    from audit.models import AuditCheckpoint

logger = logging.getLogger(__name__)

# Chains of kept heads whose loss this process has told of: each seal finds it again.
_told: Final[set[str]] = set()


def publish(checkpoint: AuditCheckpoint) -> None:
    """Let a head leave; the one kept here is replaced only by one that grew from it."""
    told = chain.told(checkpoint)
    logger.info("The audit log is sealed.", extra=told)
    try:
        kept = chain.kept_head()
    except (OSError, ValueError):
        logger.exception("%s holds no head; verification tells of it.", chain.head_file())
        return
    if kept is None:
        keep(told)
        return
    left, head = read_head(kept), chain.head_of(checkpoint)
    if _grew(left, head) or heads.declared(left, head.size) is not None:
        keep(told)
        return
    text = f"The log no longer contains the head of {left.size} records that this machine keeps."
    logger.error(text)
    if left.chain not in _told:
        _told.add(left.chain)
        chain_damaged.send_robust(AuditRecord, findings=[text])


def keep(told: dict[str, str | int]) -> None:
    """Write the head that this machine keeps; the file is replaced as a whole."""
    path = chain.head_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".head.")
    with os.fdopen(descriptor, "w") as file:
        json.dump(told, file)
    Path(temporary).replace(path)


def _grew(kept: Head, head: Head) -> bool:
    """Tell whether the chain leads from one head to the other, over every record between them.

    A link alone proves nothing: whoever may write to the table can put any chain there.
    """
    begin, link = kept.size, kept.chain
    first = chain.first_seq()
    if begin < first - 1:
        if begin and archived.chain_inside(begin) != link:
            return False
        newest = AuditArchive.objects.order_by("-to_seq").values_list("chain_after", flat=True)
        begin, link = first - 1, str(newest.first())
    return soundness.leads(begin, link, head.size) == head.chain
