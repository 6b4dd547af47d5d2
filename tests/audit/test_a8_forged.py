"""What the platform did not write is told for good, however it came in (A8)."""

import json

import pytest
from django.db import DatabaseError, connection, transaction

from audit.engine.walk import Kind
from audit.models import AuditArchive, AuditCheckpoint, AuditLink, AuditRecord
from audit.selectors import chain
from audit.services import archives, heads, verification
from audit.services.acts import act
from audit.services.records import record
from audit.services.seal import seal_all
from core.actors import SYSTEM
from tests.audit import damage

pytestmark = pytest.mark.django_db

_COLUMNS = (
    "at, category, action, outcome, actor_kind, actor_key, actor_name, on_behalf_of, session, "
    "address, user_agent, request_id, trace_id, target_type, target_id, target_name, reason, "
    "payload, mac"
)


@pytest.fixture(autouse=True)
def _no_kept_head():
    chain.head_file().unlink(missing_ok=True)


def found(**how):
    return [(finding.kind, finding.seq) for finding in verification.verify(**how).findings]


def copy(**columns):
    """Insert a copy of the first record by hand, with some columns changed."""
    names = [columns.get(name, name) for name in _COLUMNS.replace(" ", "").split(",")]
    damage.run(
        f"INSERT INTO audit_auditrecord ({_COLUMNS}) SELECT {', '.join(names)} "  # noqa: S608  # names of columns
        "FROM audit_auditrecord WHERE id = %s",
        damage.record_at(1),
    )


def without_guards(**columns):
    with damage.unguarded():
        copy(**columns)


@pytest.mark.parametrize(
    "columns",
    [
        {"action": "'nice.thing'"},
        {"action": "'nice.thing'", "mac": "''"},
        {"mac": "'deadbeef:00'"},
        {"reason": "'\x1fdb.bypassed\x1f'", "mac": "''"},
        {"reason": "'\x1fsecurity\x1fdb.bypassed\x1f'", "action": "'db.bypassed'", "mac": "''"},
        {"action": "'db.bypassed'", "mac": "''"},
    ],
)
def test_a_forged_record_is_damage_forever(columns):
    damage.fill(3)
    without_guards(**columns)
    seal_all()
    seal_all()
    note = AuditRecord.objects.get(action="audit.forgery_found")
    assert json.loads(note.payload)["count"] == 1
    assert AuditCheckpoint.objects.order_by("-id").first().forged == "4"
    assert AuditLink.objects.get(record_id=note.pk).seq == 5
    assert found() == [(Kind.FORGED, 4)]
    assert found(quick=True) == [(Kind.FORGED, 4)]


def test_a_copy_of_a_genuine_record_is_forged():
    damage.fill(3)
    copy()
    assert found() == [(Kind.FORGED, 4)]


def test_the_note_of_a_forgery_cannot_vanish():
    damage.fill(3)
    copy(action="'nice.thing'")
    seal_all()
    with damage.unguarded():
        damage.run("DELETE FROM audit_auditrecord WHERE action = 'audit.forgery_found'")
    assert found() == [(Kind.DELETED, 5), (Kind.FORGED, 4)]


def test_records_that_the_database_wrote_itself_are_genuine():
    damage.fill(2)
    damage.run("INSERT INTO auth_group (name) VALUES ('backdoor')")
    assert found() == []
    assert AuditLink.objects.count() == 3


def test_an_edit_before_the_seal_is_forged():
    damage.fill(3)
    with act():
        record(actor=SYSTEM, action="bad.thing")
    with damage.unguarded():
        damage.run("UPDATE audit_auditrecord SET action = 'good.thing' WHERE action = 'bad.thing'")
    assert found() == [(Kind.FORGED, 4)]


@pytest.mark.parametrize("spoilt", ["\x1f", "\0"])
def test_separators_within_a_column_are_refused(spoilt):
    if spoilt == "\0" and connection.vendor == "postgresql":
        pytest.skip("PostgreSQL stores no NUL.")
    damage.fill(1)
    text = "'a' || char(0)" if spoilt == "\0" else "'a\x1f'"
    with pytest.raises(DatabaseError, match="holds neither"), transaction.atomic():
        copy(reason=text)
    assert AuditRecord.objects.count() == 1


def test_what_stands_behind_a_nul_is_an_edit():
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL stores no NUL.")
    damage.fill(3)
    with damage.unguarded():
        damage.run(
            "UPDATE audit_auditrecord SET action = action || char(0) || ' by the boss' "
            "WHERE id = %s",
            damage.record_at(2),
        )
    assert found() == [(Kind.EDITED, 2)]


def test_columns_that_became_one_are_an_edit():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite alters no column.")
    damage.fill(3)
    with damage.unguarded():
        damage.run("ALTER TABLE audit_auditrecord ALTER COLUMN reason DROP NOT NULL")
        damage.run(
            "UPDATE audit_auditrecord SET reason = NULL, "
            "target_name = target_name || chr(31) || reason WHERE id = %s",
            damage.record_at(2),
        )
        damage.run(
            "UPDATE audit_auditrecord SET at = (to_char(at AT TIME ZONE 'UTC', "
            "'YYYY-MM-DD HH24:MI:SS.US') || ' BC')::timestamp AT TIME ZONE 'UTC' WHERE id = %s",
            damage.record_at(3),
        )
    assert found() == [(Kind.EDITED, 2)]
    assert found(from_seq=3, to_seq=3) == [(Kind.EDITED, 3)]


def test_a_key_below_one_is_named_and_stops_nothing():
    damage.fill(3)
    with damage.unguarded():
        damage.run(
            f"INSERT INTO audit_auditrecord (id, xid, {_COLUMNS}) "  # noqa: S608  # names of columns
            f"SELECT -7, xid, {_COLUMNS} FROM audit_auditrecord WHERE id = %s",
            damage.record_at(1),
        )
    damage.fill(1)
    assert AuditLink.objects.count() == 4
    assert found() == [(Kind.INSERTED, 1)]


def test_a_forged_restore_hides_no_cut():
    damage.fill(4, batches=2)
    head = chain.told(chain.last_checkpoint())
    heads.keep(head)
    with damage.unguarded():
        damage.truncate(4)
    payload = json.dumps(
        {
            "kept_chain": AuditCheckpoint.objects.get(size=4).chain,
            "kept_size": 4,
            "left_chain": head["chain"],
            "left_size": 8,
        },
        separators=(",", ":"),
    )
    without_guards(action="'database.restored'", payload=f"'{payload}'", mac="''")
    seal_all()
    assert Kind.TRUNCATED in [kind for kind, _ in found(head=head)]
    assert chain.kept_head()["size"] == 8


def test_a_declared_restore_of_another_place_is_none():
    damage.fill(4, batches=2)
    head = chain.told(chain.last_checkpoint())
    with damage.unguarded():
        damage.truncate(4)
    with act():
        record(
            actor=SYSTEM,
            action="database.restored",
            left_size=8,
            left_chain=head["chain"],
            kept_size=4,
            kept_chain="00" * 32,
        )
    assert Kind.TRUNCATED in [kind for kind, _ in found(head=head)]


def test_the_kept_head_is_not_forgotten():
    damage.fill(4, batches=2)
    link = AuditLink.objects.get(seq=8)
    assert chain.kept_head()["size"] == 8
    with damage.unguarded():
        damage.truncate(4)
    damage.fill(3)
    damage.fill(3)
    assert chain.kept_head()["size"] == 8
    with damage.unguarded():
        now = AuditLink.objects.get(seq=8)
        damage.run("UPDATE audit_auditlink SET seq = -8 WHERE seq = 8")
    damage.fill(1)
    with damage.unguarded():
        damage.run("UPDATE audit_auditlink SET seq = 8 WHERE seq = -8")
        damage.run("UPDATE audit_auditlink SET chain = %s WHERE seq = 8", bytes(link.chain))
    damage.fill(1)
    with damage.unguarded():
        damage.run("UPDATE audit_auditlink SET chain = %s WHERE seq = 8", bytes(now.chain))
    assert chain.kept_head()["size"] == 8
    assert found() != []


def test_an_early_key_is_sealed_on_postgresql():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer.")
    damage.fill(2)
    damage.run("SELECT setval('audit_auditrecord_id_seq', 50000)")
    damage.fill(2)
    damage.run(
        f"INSERT INTO audit_auditrecord (id, {_COLUMNS}) "  # noqa: S608  # names of columns
        f"SELECT 40, {_COLUMNS} FROM audit_auditrecord WHERE id = %s",
        damage.record_at(1),
    )
    seal_all()
    assert AuditLink.objects.get(record_id=40).seq == 5


def test_a_record_without_columns_is_not_archived():
    from datetime import timedelta

    from django.utils import timezone

    damage.fill(2)
    without_guards(reason="'\x1fdb.bypassed\x1f'", mac="''")
    seal_all()
    later = timezone.now() + timedelta(days=1)
    with pytest.raises(archives.ArchivingError, match="The record at 3 has no 18 columns"):
        archives._archive_next(later)
    assert AuditArchive.objects.count() == 0
    assert AuditLink.objects.count() == 4
