"""Verify the audit log: the chain, its signed heads, the archives and the triggers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db import connection, transaction

from audit.engine.chain import GENESIS, Head, is_signed, next_chain
from audit.engine.walk import Fault, Finding, Kind, Walk, is_keyed
from audit.models import AuditArchive, AuditCheckpoint, AuditLink, AuditRecord, AuditVerification
from audit.selectors import chain, guards
from audit.services import archives, records, seal
from audit.services.acts import audited
from audit.signals import chain_damaged
from core import jobs
from core.actors import Actor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Mapping

    from audit.engine.walk import Row

logger = logging.getLogger(__name__)

VERIFIER: Final = Actor.schedule("Audit verification")
_LAST: Final = 2**62
_SHOWN: Final = 100


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
    progress: Callable[[int], bool] = lambda _: True,
) -> Report:
    """Seal what is there, then verify all of it or a range; `head` is one kept elsewhere.

    `progress` gets percents and answers whether to go on.
    """
    seal.seal_all()
    report = Report()
    last = chain.last_checkpoint()
    report.size = last.size if last is not None else 0
    report.chain = last.chain if last is not None else GENESIS.hex()
    if from_seq is None and to_seq is None:
        report.findings += archives.verify()
    begin = max(from_seq or 1, chain.first_seq())
    report.findings += _walk(report, begin, min(to_seq or _LAST, report.size), progress)
    if to_seq is None:
        report.findings += _ends(report.size, last)
        for kept, name in ((chain.kept_head(), str(chain.head_file())), (head, "the given file")):
            if kept is not None:
                report.findings += _compare(kept, name, report)
    report.findings += _signatures()
    report.findings += _unlinked(last)
    lost = guards.missing()
    if lost:
        text = f"Triggers are missing or changed: {', '.join(lost[:5])}. Run manage.py migrate."
        report.findings.append(Finding(Kind.TRIGGER, 0, text))
    return report


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
    left = previous or chain.kept_head() or {}
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
        seal.keep_head(chain.told(newest))


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


def _walk(report: Report, begin: int, to: int, progress: Callable[[int], bool]) -> list[Finding]:
    before = chain.chain_at(begin - 1)
    if before is None:
        return [Finding(Kind.DELETED, begin - 1, "The record before the range is not there.")]
    walk = Walk(begin - 1, before, {})
    for page in chain.links(begin - 1, to):
        begun = walk.seq, walk.chain
        heads = dict(
            AuditCheckpoint.objects.filter(size__gt=walk.seq, size__lte=page[-1][0]).values_list(
                "size", "chain"
            )
        )
        bad = walk.along(page, heads)
        report.rows = walk.rows
        if bad is not None:
            return [_name(walk, bad, page, begun)]
        if not progress(walk.seq * 100 // max(to, 1)):
            report.notes.append("Cancelled.")
            return []
    if walk.seq < to <= report.size:
        text = f"The chain ends here; a signed head tells of {report.size} records."
        return [Finding(Kind.TRUNCATED, walk.seq + 1, text)]
    return []


def _name(walk: Walk, bad: Row, page: list[Row], begun: tuple[int, bytes]) -> Finding:
    """Name the damage of the first row that does not hold."""
    number, record_id, _, _, _ = bad
    seq = walk.seq + 1
    match walk.fault:
        case Fault.GAP:
            if next_chain(walk.chain, seq, record_id, bytes(bad[2])) == bytes(bad[3]):
                return Finding(Kind.REORDERED, seq, f"Its link stands at {number}.", record_id)
            return Finding(Kind.DELETED, seq, "The record and its link are gone.")
        case Fault.RECORD_GONE:
            return Finding(Kind.DELETED, seq, f"Record {record_id} is gone.", record_id)
        case Fault.DIGEST:
            other = AuditLink.objects.filter(digest=walk.computed).exclude(seq=seq).first()
            if other is not None:
                text = f"Record {record_id} holds what was sealed at {other.seq}."
                return Finding(Kind.REORDERED, seq, text, record_id)
            return Finding(Kind.EDITED, seq, f"Record {record_id} was changed.", record_id)
        case Fault.HEAD:
            again = Walk(*begun, chain.mac_keys())
            worse = again.along(page, {})
            if worse is not None:
                text = f"Record {worse[1]} was changed, and the chain was computed anew."
                return Finding(Kind.EDITED, again.seq + 1, text, worse[1])
            text = "The chain was computed anew: a signed head of this size is another."
            return Finding(Kind.SIGNATURE, seq, text)
        case _:
            return _name_link(walk, bad)


def _name_link(walk: Walk, bad: Row) -> Finding:
    seq, record_id = walk.seq + 1, bad[1]
    signed = AuditCheckpoint.objects.filter(size__lt=seq).order_by("-id").first()
    if signed is not None and signed.size < walk.seq:
        behind = next_chain(bytes.fromhex(signed.chain), seq, record_id, bytes(bad[2]))
        if behind == bytes(bad[3]):
            text = "Nobody has signed this link and those up to the next head."
            return Finding(Kind.INSERTED, signed.size + 1, text)
    for page in chain.links(seq, _LAST):
        for number, key, digest, link_chain, _ in page:
            fits = next_chain(walk.chain, seq, key, bytes(digest))
            if fits in {bytes(link_chain), bytes(bad[3])}:
                hashed = _raw(bad)
                if hashed and not is_keyed(chain.mac_keys(), hashed):
                    text = f"Record {record_id} was put here; the next stood in its place."
                    return Finding(Kind.INSERTED, seq, text, record_id)
                text = f"The link that belongs here stands at {number}."
                return Finding(Kind.REORDERED, seq, text, record_id)
    return Finding(Kind.EDITED, seq, f"The link of record {record_id} was changed.", record_id)


def _raw(row: Row) -> bytes:
    hashed = row[4]
    return hashed.encode() if isinstance(hashed, str) else hashed or b""


def _ends(size: int, last: AuditCheckpoint | None) -> list[Finding]:
    beyond = AuditLink.objects.filter(seq__gt=size).order_by("seq").first()
    if beyond is None:
        return []
    if last is None:
        return [Finding(Kind.SIGNATURE, beyond.seq, "There are links, and no signed head.")]
    text = "No signed head covers this link."
    return [Finding(Kind.INSERTED, beyond.seq, text, beyond.record_id)]


def _compare(kept: Mapping[str, Any], name: str, report: Report) -> list[Finding]:
    """Compare the chain with a head that was kept outside the database."""
    size, told = int(kept["size"]), str(kept["chain"])
    if "signature" in kept:
        head = Head(size, told, str(kept.get("at", "")), str(kept.get("prev", "")))
        keys = chain.public_keys()
        if not is_signed(keys, str(kept.get("key_id", "")), head, str(kept["signature"])):
            return [Finding(Kind.SIGNATURE, size, f"The head of {name} has no valid signature.")]
    found = chain.chain_at(size)
    if found is not None and found.hex() == told:
        return []
    if found is None and size < chain.first_seq():
        report.notes.append(f"The head of {name} lies inside an archive.")
        return []
    restored = AuditRecord.objects.filter(
        action="database.restored", payload__contains=f'"left_chain":"{told}"'
    ).first()
    if restored is not None:
        report.notes.append(f"The fork at {size} was declared by record {restored.pk}.")
        return []
    if size > report.size:
        text = f"{name} tells of {size} records, the database of {report.size}."
        return [Finding(Kind.TRUNCATED, report.size + 1, text)]
    return [Finding(Kind.EDITED, size, f"{name} tells of another chain at this place.")]


def _signatures() -> list[Finding]:
    """Verify that each head names the one before, and that the last is signed.

    The digest of a head covers its signature, so the newest signature vouches for all of them.
    """
    before, last = "", None
    for checkpoint in AuditCheckpoint.objects.order_by("id").iterator(chunk_size=5_000):
        head = chain.head_of(checkpoint)
        if last is not None and head.prev != before:
            text = f"The head at {last.size} is not the one that the next was signed behind."
            return [Finding(Kind.SIGNATURE, last.size, text)]
        before, last = _digest(head, checkpoint.signature), checkpoint
    if last is None:
        return []
    if not is_signed(chain.public_keys(), last.key_id, chain.head_of(last), last.signature):
        text = "The newest head is not signed by a key of the keyring."
        return [Finding(Kind.SIGNATURE, last.size, text)]
    return []


def _digest(head: Head, signature: str) -> str:
    try:
        return head.digest(signature)
    except ValueError:
        return ""


def _unlinked(last: AuditCheckpoint | None) -> list[Finding]:
    """Find records that have no link although later ones have."""
    if last is None:
        return []
    with connection.cursor() as cursor:
        horizon, limit = ("r.xid < %s", last.horizon)
        if connection.vendor != "postgresql":
            horizon, limit = ("r.id <= %s", last.last_id)
        cursor.execute(
            f"SELECT r.id, {chain.hashed_sql('r')} FROM audit_auditrecord r WHERE {horizon} "  # noqa: S608  # names of columns
            "AND NOT EXISTS (SELECT 1 FROM audit_auditlink l WHERE l.record_id = r.id) "
            "ORDER BY r.id LIMIT 1",
            [limit],
        )
        found = cursor.fetchone()
    if found is None:
        return []
    raw = found[1].encode() if isinstance(found[1], str) else found[1]
    before = AuditLink.objects.filter(record_id__lt=found[0]).order_by("-record_id").first()
    seq = before.seq + 1 if before is not None else 1
    if is_keyed(chain.mac_keys(), raw):
        return [Finding(Kind.LATE, seq, f"Record {found[0]} was never sealed.", found[0])]
    text = f"Record {found[0]} was not written by the platform."
    return [Finding(Kind.INSERTED, seq, text, found[0])]


def oldest_archive() -> AuditArchive | None:
    """Return the archive that the chain begins with."""
    return AuditArchive.objects.order_by("from_seq").first()
