"""Verify the audit log: the chain, its signed heads, the archives and the triggers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from audit.engine.chain import GENESIS
from audit.engine.walk import Finding, Kind
from audit.models import AuditRecord, AuditVerification
from audit.selectors import archived, chain, guards, heads, soundness
from audit.services import heads as kept_heads
from audit.services import records, seal
from audit.services.acts import audited
from audit.signals import chain_damaged
from core import jobs
from core.actors import Actor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

VERIFIER: Final = Actor.schedule("Audit verification")
_SHOWN: Final = 100


class RangeError(ValueError):
    """There is nothing sealed in the range that was asked for."""


@dataclass(slots=True)
class Report:
    """What a verification has found; without findings the log is sound."""

    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    chain: str = ""
    notes: list[str] = field(default_factory=list)


def verify(
    *,
    from_seq: int | None = None,
    to_seq: int | None = None,
    head: Mapping[str, Any] | None = None,
    quick: bool = False,
    progress: Callable[[int], bool] = lambda _: True,
) -> Report:
    """Seal what is there, then verify all of it or a range; `head` is one kept elsewhere.

    A quick look leaves keyed digests and archives out. `progress` gets percents and answers
    whether to go on. Raises RangeError.
    """
    seal.seal_all()
    report = Report()
    last = chain.last_checkpoint()
    report.size = last.size if last is not None else 0
    report.chain = last.chain if last is not None else GENESIS.hex()
    begin, to = _range(from_seq, to_seq, report.size)
    is_whole = from_seq is None and to_seq is None
    if is_whole and not quick:
        report.findings += archived.verify()
    signed, forged = heads.signatures()
    look = soundness.Look(forged=forged, is_quick=quick)
    look.along(begin, to, report.size, progress)
    report.rows, report.findings = look.rows, report.findings + look.findings
    report.findings += [
        Finding(Kind.FORGED, seq, text) for seq, text in forged.items() if begin <= seq <= to
    ]
    if to_seq is None:
        report.findings += soundness.beyond(report.size, has_head=last is not None)
        _compare_kept(report, head)
    report.findings += signed
    report.findings += soundness.unlinked(last)
    _judge_triggers(report)
    if look.unknown_keys:
        report.notes.append(
            f"{look.unknown_keys} keyed digests are of keys that the keyring no longer holds; the "
            "sealer has checked them, and the signed chain holds them."
        )
    if look.was_cancelled:
        report.notes.append("Cancelled.")
    return report


def _range(from_seq: int | None, to_seq: int | None, size: int) -> tuple[int, int]:
    first = chain.first_seq()
    begin, to = from_seq if from_seq is not None else first, to_seq if to_seq is not None else size
    if from_seq is None and to_seq is None:
        return begin, to
    if begin < 1 or begin > to or to > size:
        message = f"Nothing is sealed from {begin} to {to}; there are {size} records."
        raise RangeError(message)
    if begin < first:
        message = f"Records before {first} are in archives; verify all, or begin there."
        raise RangeError(message)
    return begin, to


def _compare_kept(report: Report, head: Mapping[str, Any] | None) -> None:
    try:
        kept = chain.kept_head()
    except (OSError, ValueError):
        text = f"{chain.head_file()} holds no head. Keep the file, then move it away."
        report.findings.append(Finding(Kind.SIGNATURE, 0, text))
        kept = None
    for one, name in ((kept, str(chain.head_file())), (head, "the given file")):
        if one is not None:
            found, notes = heads.compare(one, name, report.size)
            report.findings += found
            report.notes += [note for note in notes if note not in report.notes]


def _judge_triggers(report: Report) -> None:
    lost = guards.missing()
    if lost:
        text = f"Triggers are missing, changed or foreign: {', '.join(lost[:5])}."
        report.findings.append(Finding(Kind.TRIGGER, 0, f"{text} Run manage.py prepare."))


@audited
def request(*, actor: Actor) -> AuditVerification:
    """Ask for a verification; it begins after the commit."""
    job = AuditVerification.objects.create(requested_by=actor.name[:200])
    records.record(actor=actor, action="audit.verification_requested", target=job)
    jobs.ring(job)
    return job


def perform(*, job_id: str) -> bool:
    """Run a verification that was asked for; False if it is not waiting."""
    lease = jobs.begin(AuditVerification, job_id)
    if lease is None:
        return False
    job = AuditVerification.objects.get(pk=job_id)
    try:
        report = verify(progress=lambda done: _beat(lease, done))
    except Exception:
        failed = {"error_code": "internal", "error": "It could not run; see the worker's log."}
        jobs.finish(AuditVerification, lease, AuditVerification.State.FAILED, **failed)
        _tell_damage(["The audit log could not be verified; the worker's log tells why."])
        raise
    return _end(job, lease, report)


def perform_daily() -> bool:
    """Verify everything, as the schedule asks each night."""
    job = AuditVerification.objects.create(requested_by=VERIFIER.name)
    return perform(job_id=str(job.pk))


def note(report: Report, *, actor: Actor) -> None:
    """Keep what a command has found, so that the console shows it too."""
    job = AuditVerification.objects.create(requested_by=actor.name[:200])
    lease = jobs.begin(AuditVerification, str(job.pk))
    if lease is not None:
        _end(job, lease, report)


def declare_restored(
    *, actor: Actor, previous: Mapping[str, Any] | None = None, reason: str = ""
) -> None:
    """Record that this database was restored: its chain goes on from an earlier head.

    `previous` is the newest head before the restore; by default the one this machine keeps. Later
    verifications know this fork as declared. Whoever restores the platform's database calls it.
    """
    seal.seal_all()
    left = previous if previous is not None else chain.kept_head() or {}
    last = chain.last_checkpoint()
    with transaction.atomic():
        records.record(
            actor=actor,
            action="database.restored",
            reason=reason or "The database was restored from a backup.",
            left_size=int(left.get("size", 0)),
            left_chain=str(left.get("chain", "")),
            kept_size=last.size if last is not None else 0,
            kept_chain=last.chain if last is not None else "",
        )
    seal.seal_all()
    newest = chain.last_checkpoint()
    if newest is not None:
        kept_heads.keep(chain.told(newest))


def _beat(lease: uuid.UUID, done: int) -> bool:
    return jobs.heartbeat(AuditVerification, lease, progress=min(done, 99))


def _end(job: AuditVerification, lease: uuid.UUID, report: Report) -> bool:
    texts = [str(finding) for finding in report.findings[:_SHOWN]]
    with transaction.atomic():
        ended = jobs.finish(
            AuditVerification,
            lease,
            AuditVerification.State.DONE,
            progress=100,
            rows=report.rows,
            size=report.size,
            chain=report.chain,
            findings=texts,
            notes=report.notes[:_SHOWN],
        )
        records.record(
            actor=VERIFIER,
            action="audit.verified",
            target=job,
            reason=texts[0] if texts else "",
            findings=len(report.findings),
            size=report.size,
            chain=report.chain,
        )
        if texts:
            transaction.on_commit(
                lambda: _tell_damage(texts),
            )
    return ended


def _tell_damage(texts: list[str]) -> None:
    logger.error("The audit log is damaged: %s", texts[0])
    for _, answer in chain_damaged.send_robust(AuditRecord, findings=texts):
        if isinstance(answer, Exception):
            logger.error("Nobody could be told of the damage: %s", answer)
