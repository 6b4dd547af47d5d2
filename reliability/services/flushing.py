"""Store what the prober found in parts, and keep it in a file while the database is away."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError, InterfaceError, OperationalError

from core.leases import LeaseLostError
from reliability.engine.batch import Batch
from reliability.services import answers, results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.leases import Held
    from reliability.engine.probe import Result
    from reliability.engine.spill import Spill

logger = logging.getLogger(__name__)

AWAY: Final = (OperationalError, InterfaceError)

_CHECKS_AT_ONCE: Final = 2000
_FLIPS_AT_ONCE: Final = 200


def parts(batch: Batch) -> Iterator[Batch]:
    """Divide a batch into what one transaction stores."""
    return batch.parts(most_checks=_CHECKS_AT_ONCE, most_flips=_FLIPS_AT_ONCE)


def store(batch: Batch, held: Held, *, is_old: bool = False) -> set[int]:
    """Store a batch; a check whose part the database refuses is left out and read anew."""
    try:
        return results.store(batch=batch, held=held, is_old=is_old)
    except AWAY:
        raise
    except DatabaseError:
        singles = list(batch.parts(most_checks=1, most_flips=len(batch.flips)))
        if len(singles) > 1:
            return set().union(*(store(part, held, is_old=is_old) for part in singles))
        logger.exception("The results of one check cannot be stored and are dropped.")
        return batch.check_ids


def restore(spill: Spill, held: Held) -> int:
    """Store every batch of the file and forget it; return how many results there were.

    What is stored is marked in the file at once. Raises OSError if the file cannot be read.
    """
    count = 0
    for place, batch in spill.waiting():
        for part in parts(batch):
            _restore_part(part, spill, held)
        spill.mark(place)
        count += len(batch.results)
    spill.remove()
    return count


def _restore_part(part: Batch, spill: Spill, held: Held) -> None:
    try:
        store(part, held, is_old=True)
    except (*AWAY, LeaseLostError):
        raise
    except Exception:
        # Whatever is wrong with it must not hold up what comes after it, nor the probes.
        logger.exception("Part of what waited in a file cannot be stored; it is kept beside it.")
        spill.keep_apart(part)


def masked(batch: Batch) -> Batch:
    """Hide secrets in what targets answered before it goes to the disk."""
    hidden = Batch(trackers=batch.trackers)
    hidden.results.extend(_kept(result) for result in batch.results)
    hidden.flips = [replace(flip, result=_kept(flip.result)) for flip in batch.flips]
    return hidden


def _kept(result: Result) -> Result:
    if result.ok:
        return result
    detail, excerpt = answers.detail(result.detail), answers.kept(result.excerpt)
    return replace(result, detail=detail, excerpt=excerpt)
