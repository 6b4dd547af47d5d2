"""Each damage of the audit log is found and named (A8)."""

import io
import json
import random

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from audit.engine.walk import Kind
from audit.models import AuditCheckpoint, AuditLink, AuditRecord
from audit.selectors import chain
from audit.services import verification
from audit.services.seal import seal_all
from core.actors import SYSTEM
from reliability.models import Incident
from tests.audit import damage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_kept_head():
    chain.head_file().unlink(missing_ok=True)


def found():
    return [(finding.kind, finding.seq) for finding in verification.verify().findings]


def test_a_sound_log_has_no_findings():
    damage.fill(5, batches=3)
    assert found() == []
    assert AuditLink.objects.count() == AuditRecord.objects.count() == 15
    assert list(AuditLink.objects.values_list("seq", flat=True)) == list(range(1, 16))
    assert seal_all() == 0


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (lambda: damage.edit(7), Kind.EDITED),
        (lambda: damage.edit(7, "action", "nothing.happened"), Kind.EDITED),
        (lambda: damage.edit(7, "at", "2026-01-01 00:00:00+00:00"), Kind.EDITED),
        (lambda: damage.edit(7, "address", "192.0.2.9"), Kind.EDITED),
        (lambda: damage.edit(7, "mac", ""), Kind.EDITED),
        (lambda: damage.delete(7), Kind.DELETED),
        (lambda: damage.delete_whole(7), Kind.DELETED),
        (lambda: damage.swap(7, 11), Kind.REORDERED),
        (lambda: damage.swap_links(7, 11), Kind.REORDERED),
    ],
)
def test_a_damaged_row_is_named(how, kind):
    damage.fill(6, batches=3)
    with damage.unguarded():
        how()
    assert found()[0] == (kind, 7)


def test_a_row_by_hand_is_named():
    damage.fill(6)
    with damage.unguarded():
        damage.run(
            "INSERT INTO audit_auditrecord (id, at, category, action, outcome, actor_kind, "
            "actor_key, actor_name, on_behalf_of, session, address, user_agent, request_id, "
            "trace_id, target_type, target_id, target_name, reason, payload, mac, xid) "
            "SELECT -5, at, category, 'nice.thing', outcome, actor_kind, actor_key, actor_name, "
            "on_behalf_of, session, address, user_agent, request_id, trace_id, target_type, "
            "target_id, target_name, reason, payload, mac, 1 FROM audit_auditrecord WHERE id = %s",
            damage.record_at(2),
        )
    assert Kind.INSERTED in [kind for kind, _ in found()]


def test_a_forged_row_at_the_end_is_sealed_and_told():
    damage.fill(3)
    damage.run(
        "INSERT INTO audit_auditrecord (at, category, action, outcome, actor_kind, actor_key, "
        "actor_name, on_behalf_of, session, address, user_agent, request_id, trace_id, "
        "target_type, target_id, target_name, reason, payload, mac) "
        "SELECT at, category, 'nice.thing', outcome, actor_kind, actor_key, actor_name, "
        "on_behalf_of, session, address, user_agent, request_id, trace_id, target_type, "
        "target_id, target_name, reason, payload, mac FROM audit_auditrecord WHERE id = %s",
        damage.record_at(2),
    )
    seal_all()
    forged = AuditRecord.objects.get(action="audit.forgery_found")
    assert json.loads(forged.payload)["count"] == 1


def test_a_link_that_nobody_signed_is_named():
    damage.fill(3)
    with damage.unguarded():
        AuditLink.objects.create(record_id=999, seq=4, digest=bytes(32), chain=bytes(32))
    assert found()[0] == (Kind.INSERTED, 4)


def test_a_cut_end_is_named_by_the_signed_head():
    damage.fill(4, batches=2)
    with damage.unguarded():
        damage.truncate(6, heads=False)
    assert found()[0] == (Kind.TRUNCATED, 7)


def test_a_cut_end_is_named_by_a_head_kept_elsewhere(tmp_path):
    damage.fill(4, batches=2)
    file = tmp_path / "head.json"
    file.write_text(json.dumps(chain.told(chain.last_checkpoint())))
    with damage.unguarded():
        damage.truncate(4)
    assert found() == [(Kind.TRUNCATED, 5)]
    chain.head_file().unlink()
    assert found() == []
    head = json.loads(file.read_text())
    [finding] = verification.verify(head=head).findings
    assert (finding.kind, finding.seq) == (Kind.TRUNCATED, 5)


def test_a_cut_table_is_named(tmp_path):
    damage.fill(4)
    head = chain.told(chain.last_checkpoint())
    with damage.unguarded():
        for table in ("record", "link", "checkpoint"):
            damage.run(f"DELETE FROM audit_audit{table}")  # noqa: S608  # a name of the test
    chain.head_file().unlink()
    assert [(f.kind, f.seq) for f in verification.verify(head=head).findings] == [
        (Kind.TRUNCATED, 1)
    ]


def test_a_chain_computed_anew_is_named():
    damage.fill(6, batches=3)
    with damage.unguarded():
        damage.edit(7)
        damage.rechain()
    assert found()[0] == (Kind.EDITED, 7)


def test_a_forged_signature_is_named():
    damage.fill(6, batches=3)
    with damage.unguarded():
        damage.run("UPDATE audit_auditcheckpoint SET signature = %s WHERE size = 12", "00" * 64)
    assert found() == [(Kind.SIGNATURE, 12)]
    with damage.unguarded():
        damage.run("UPDATE audit_auditcheckpoint SET signature = %s WHERE size = 18", "00" * 64)
    assert (Kind.SIGNATURE, 12) in found()


def test_a_missing_trigger_is_named():
    from audit.services import guards

    damage.fill(2)
    guards.remove(tables=["accounts_user"])
    assert found() == [(Kind.TRIGGER, 0)]


def test_a_range_begins_and_ends_where_it_was_asked_to():
    damage.fill(6, batches=3)
    with damage.unguarded():
        damage.edit(7)
    assert verification.verify(from_seq=8, to_seq=18).findings == []
    assert verification.verify(from_seq=3, to_seq=6).rows == 4
    [finding] = verification.verify(from_seq=2, to_seq=8).findings
    assert (finding.kind, finding.seq) == (Kind.EDITED, 7)


def test_a_declared_restore_is_no_damage():
    damage.fill(4, batches=2)
    head = chain.told(chain.last_checkpoint())
    with damage.unguarded():
        damage.truncate(4)
    verification.declare_restored(actor=SYSTEM, previous=head)
    report = verification.verify(head=head)
    assert report.findings == []
    assert report.notes[-1].startswith("Declared fork: ")
    row = AuditRecord.objects.get(action="database.restored")
    assert json.loads(row.payload) == {
        "kept_chain": AuditCheckpoint.objects.get(size=4).chain,
        "kept_size": 4,
        "left_chain": head["chain"],
        "left_size": 8,
    }


def test_random_damage_is_always_found():
    rng = random.Random(8)  # noqa: S311  # the same damage each time
    damage.fill(40, batches=3)
    columns = ["action", "actor_name", "reason", "payload", "session", "target_id", "outcome"]
    from django.db import transaction

    for _ in range(150):
        seq, other = rng.sample(range(1, 121), 2)
        how = rng.choice(["edit", "edit", "delete", "delete_whole", "swap", "swap_links"])
        savepoint = transaction.savepoint()
        from audit.services import guards

        guards.remove(tables=["audit_auditrecord", "audit_auditlink"])
        if how == "edit":
            column = rng.choice(columns)
            damage.edit(seq, column, "denied" if column == "outcome" else f"x{rng.random()}")
        elif how in {"swap", "swap_links"}:
            getattr(damage, how)(seq, other)
        else:
            getattr(damage, how)(seq)
        if rng.random() < 0.3:
            damage.rechain() if how == "edit" else None
        kinds = {finding.kind for finding in verification.verify().findings} - {Kind.TRIGGER}
        transaction.savepoint_rollback(savepoint)
        assert kinds, (how, seq, other)
    assert found() == []


def test_the_command_says_what_it_found(capsys):
    damage.fill(3)
    call_command("verify_audit_chain")
    assert "Sound: 3 records verified, 3 sealed" in capsys.readouterr().out
    with damage.unguarded():
        damage.edit(2)
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit_chain")
    assert ended.value.code == 1
    assert "edited at seq 2" in capsys.readouterr().err


def test_the_command_says_when_it_cannot_tell(tmp_path):
    (tmp_path / "head.json").write_text("{}")
    with pytest.raises(CommandError) as failed:
        call_command("verify_audit_chain", checkpoint=tmp_path / "head.json", stdout=io.StringIO())
    assert failed.value.returncode == 2


@pytest.mark.django_db(transaction=True)
def test_damage_and_bypass_open_incidents():
    damage.fill(3)
    damage.run("INSERT INTO auth_group (name) VALUES ('backdoor')")
    seal_all()
    with damage.unguarded():
        damage.edit(2)
    assert verification.perform_daily()
    assert set(Incident.objects.values_list("dedup_key", "title")) == {
        ("platform.security:database-bypassed", "The database was changed past the platform"),
        ("platform.security:audit-damaged", "The audit log is damaged"),
    }
