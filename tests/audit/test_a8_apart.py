"""Refused acts, records without a database, and archives (A8)."""

import gzip
import json
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from audit.engine.walk import Kind
from audit.models import AuditArchive, AuditLink, AuditRecord, AuditRepeat, AuditSpilled
from audit.selectors import archived, chain
from audit.services import archives, records, spill, verification
from audit.services.acts import act, unwatched
from audit.services.records import record, record_error, record_refusal
from audit.services.seal import seal_all
from core.actors import SYSTEM
from tests.audit import damage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, settings):
    settings.OPS_DATA_DIR = tmp_path


def spill_file():
    from django.conf import settings

    return settings.OPS_DATA_DIR / "audit" / "spill" / "waiting.jsonl"


def refuse(reason="Wrong password."):
    record_refusal(actor=SYSTEM, action="session.refused", reason=reason)


def without_database():
    return mock.patch(
        "audit.services.records.transaction.atomic", side_effect=OperationalError("gone")
    )


def later(seconds):
    with unwatched("a test"):
        AuditRepeat.objects.update(since=timezone.now() - timedelta(seconds=seconds))


def test_denials_alike_are_one_record_and_one_summary():
    for _ in range(5):
        refuse()
    refuse("Another reason.")
    assert AuditRecord.objects.count() == 2
    assert records.tell_repeats() == 0
    later(61)
    assert records.tell_repeats() == 1
    summary = AuditRecord.objects.order_by("-id").first()
    assert (summary.action, summary.outcome, summary.reason) == (
        "session.refused",
        "denied",
        "Wrong password.",
    )
    assert json.loads(summary.payload)["repeats"] == 4
    assert records.tell_repeats() == 0
    assert AuditRepeat.objects.count() == 0


def test_a_denial_after_the_minute_is_a_record_again():
    refuse()
    refuse()
    later(61)
    refuse()
    assert [json.loads(row.payload) for row in AuditRecord.objects.order_by("id")][0::2] == [{}, {}]
    assert AuditRecord.objects.count() == 3


def test_a_failed_act_is_an_error():
    record_error(actor=SYSTEM, action="backup.failed", reason="The disk is full.")
    assert AuditRecord.objects.get().outcome == "error"


def test_without_a_database_a_record_waits_in_a_file():
    with without_database():
        refuse()
        refuse()
    assert AuditRecord.objects.count() == 0
    assert stat.S_IMODE(spill_file().stat().st_mode) == 0o600
    assert spill.waiting() == 1

    assert records.replay_spilled() == 2
    assert AuditRecord.objects.count() == 2
    assert spill.waiting() == 0
    assert records.replay_spilled() == 0
    assert AuditSpilled.objects.count() == 2
    seal_all()
    assert verification.verify().findings == []


def test_a_replay_that_dies_goes_on_and_writes_nothing_twice():
    with without_database():
        for number in range(4):
            refuse(f"reason {number}")
    real, calls = records.insert, []

    def dying(texts):
        calls.append(texts)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(texts)

    with pytest.raises(KeyboardInterrupt):
        spill.replay(dying)
    assert AuditRecord.objects.count() == 2
    assert records.replay_spilled() == 2
    assert sorted(AuditRecord.objects.values_list("reason", flat=True)) == [
        f"reason {number}" for number in range(4)
    ]


def test_a_torn_line_costs_no_other():
    with without_database():
        refuse("first")
    with spill_file().open("a") as file:
        file.write('{"uid": "torn')
    with without_database():
        refuse("second")
    assert records.replay_spilled() == 2


def old_log(count=6, *, batches=3):
    from audit.services import records as written

    past = timezone.now() - timedelta(days=400)
    with mock.patch.object(written, "told_time", return_value=f"{past:%Y-%m-%d %H:%M:%S.%f}"):
        damage.fill(count, batches=batches)
    damage.fill(2)


def test_old_records_move_into_archives_that_verify():
    old_log()
    head = chain.told(chain.last_checkpoint())
    assert archives.archive_all() == 18
    archive = AuditArchive.objects.get()
    assert (archive.from_seq, archive.to_seq) == (1, 18)
    assert list(AuditLink.objects.values_list("seq", flat=True))[:2] == [19, 20]
    assert not AuditRecord.objects.filter(at__lt=timezone.now() - timedelta(days=399)).exists()
    assert AuditRecord.objects.filter(action="audit.archived").count() == 1
    report = verification.verify(head=head)
    assert report.findings == []
    assert report.rows == 3
    assert archives.archive_all() == 0


def test_an_archive_is_readable_line_by_line():
    old_log(2, batches=1)
    archives.archive_all()
    path = archived.folder() / AuditArchive.objects.get().file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    head, *rows = [json.loads(line) for line in lines]
    assert (head["format"], head["from_seq"], head["to_seq"]) == ("ops-audit-archive-1", 1, 2)
    assert [row["record"]["action"] for row in rows if "record" in row] == ["thing.done"] * 2
    assert [row["checkpoint"]["size"] for row in rows if "checkpoint" in row] == [2]


def test_a_stranger_verifies_an_archive_by_the_script_of_the_guide(settings):
    guide = (Path(settings.BASE_DIR) / "docs" / "audit.md").read_text()
    script = guide.partition("```python\n")[2].partition("```")[0]
    old_log(3)
    archives.archive_all()
    archive = AuditArchive.objects.get()
    path = archived.folder() / archive.file
    command = [sys.executable, "-c", script, str(path)]
    sound = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sound.stdout == f"Sound from 1 to 9, chain {archive.chain_after}\n"
    spoiled = gzip.decompress(path.read_bytes()).replace(b"thing.done", b"thing.seen", 1)
    path.write_bytes(gzip.compress(spoiled))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_archive_is_found(how):
    old_log(3)
    archives.archive_all()
    path = archived.folder() / AuditArchive.objects.get().file
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [finding.kind for finding in verification.verify().findings] == [Kind.ARCHIVE]


def test_what_is_damaged_is_not_archived():
    old_log(3)
    with damage.unguarded():
        damage.edit(4)
    assert archives.archive_all() == 0
    assert AuditLink.objects.filter(seq=1).exists()
    assert verification.verify().findings[0].kind == Kind.EDITED


def test_a_legal_hold_keeps_everything(settings):
    old_log(3)
    settings.OPS_AUDIT_LEGAL_HOLD = True
    assert archives.archive_all() == 0
    assert AuditLink.objects.count() == 11


def test_a_death_between_archive_and_deletion_loses_nothing():
    old_log(3)
    with (
        mock.patch("audit.services.archives.guards.install", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
        transaction.atomic(),
    ):
        archives.archive_all()
    assert AuditArchive.objects.count() == 0
    assert AuditLink.objects.count() == 11
    assert len(list(archived.folder().glob("*.gz"))) == 1
    assert archives.archive_all() == 9
    assert verification.verify().findings == []


def test_less_than_180_days_are_refused():
    from opsplatform.env import Environment

    env = Environment({"OPS_AUDIT_RETENTION_DAYS": "179"})
    env.integer("OPS_AUDIT_RETENTION_DAYS", default=365, minimum=180, about="Days.")
    assert len(env.problems) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_long_transaction_delays_and_loses_nothing():
    """The record of an open transaction takes its place after it has ended."""
    other = connection.copy()
    other.connect()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "INSERT INTO audit_auditrecord (at, category, action, outcome, actor_kind, "
                "actor_key, actor_name, on_behalf_of, session, address, user_agent, request_id, "
                "trace_id, target_type, target_id, target_name, reason, payload, mac) VALUES "
                "(now(), 'security', 'db.bypassed', 'allowed', 'database', '', '', '', '', '', '', "
                "'', '', '', '', '', '', '{}', '')"
            )
            with act():
                record(actor=SYSTEM, action="thing.done")
            assert seal_all() == 0
            cursor.execute("COMMIT")
        assert seal_all() == 2
        assert list(AuditLink.objects.order_by("seq").values_list("record_id", flat=True)) == list(
            AuditRecord.objects.order_by("xid").values_list("pk", flat=True)[:2]
        )
        assert verification.verify().findings == []
    finally:
        other.close()
