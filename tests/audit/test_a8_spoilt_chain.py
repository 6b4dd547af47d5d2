"""Spoilt heads, keys, triggers and files become findings and stop nothing (A8)."""

import io
import json
import secrets
from datetime import timedelta
from unittest import mock

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.models import Installation
from audit.checks import triggers_are_there
from audit.engine.walk import Kind
from audit.models import AuditArchive, AuditCheckpoint, AuditKey, AuditLink, AuditRecord
from audit.selectors import chain
from audit.selectors.guards import expected, missing
from audit.services import archives, guards, heads, records, seal, spill, verification
from core.keyring import KeyringError
from reliability.models import Incident
from tests.audit import damage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_kept_head():
    chain.head_file().unlink(missing_ok=True)


@pytest.fixture
def signing_key():
    """Return a function that replaces the signing key's versions; the file is back afterwards."""
    damage.fill(1)
    path = settings.KEYRING.folder / "AUDIT_SIGNING_KEY.json"
    kept = path.read_bytes()

    def replace(*states):
        old = json.loads(kept)["versions"]
        fresh = {"v": 9, "created": "2026-01-01T00:00:00+00:00", "value": secrets.token_urlsafe(48)}
        if not states:
            path.unlink()
        else:
            versions = [{**fresh, "state": "current"}]
            versions += [{**old[0], "state": state} for state in states if state != "current"]
            path.write_text(json.dumps({"name": "AUDIT_SIGNING_KEY", "versions": versions}))
        settings.KEYRING._cache.clear()

    yield replace
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(kept)
    settings.KEYRING._cache.clear()


def found(**how):
    return [(finding.kind, finding.seq) for finding in verification.verify(**how).findings]


@pytest.mark.parametrize(
    ("column", "value"),
    [("chain", "zz"), ("signature", "zz"), ("prev", "zz"), ("forged", "x"), ("key_id", "zz")],
)
def test_a_spoilt_head_stops_no_seal(column, value):
    damage.fill(3, batches=2)
    with damage.unguarded():
        damage.run(
            f"UPDATE audit_auditcheckpoint SET {column} = %s WHERE size = 6",  # noqa: S608  # a column
            value,
        )
    damage.fill(1)
    assert AuditLink.objects.count() == 7
    assert (Kind.SIGNATURE, 6) in found()


def test_rubbish_in_a_head_on_sqlite_stops_no_seal():
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL stores no text in numbers.")
    damage.fill(3, batches=3)
    with damage.unguarded():
        damage.run("UPDATE audit_auditcheckpoint SET size = 'abc' WHERE size = 9")
        damage.run("UPDATE audit_auditcheckpoint SET at = '2026-13-45 00:00:00' WHERE size = 6")
    damage.fill(1)
    assert [kind for kind, _ in found()].count(Kind.SIGNATURE) >= 2


def test_heads_that_were_taken_away_are_named():
    damage.fill(2, batches=4)
    with damage.unguarded():
        damage.run("DELETE FROM audit_auditcheckpoint WHERE size < 8")
    assert found() == [(Kind.SIGNATURE, 8)]


@pytest.mark.parametrize("text", ['{"size":"abc","chain":1}', "[]", "{", '{"size": -1}'])
def test_a_spoilt_kept_head_is_a_finding(text):
    damage.fill(2)
    chain.head_file().write_text(text)
    damage.fill(1)
    assert AuditLink.objects.count() == 3
    assert found() == [(Kind.SIGNATURE, 0)]
    assert chain.head_file().read_text() == text


def test_a_lost_signing_key_is_never_replaced(signing_key):
    signing_key()
    with pytest.raises(KeyringError, match="Bring the keyring back"):
        verification.verify()
    assert not (settings.KEYRING.folder / "AUDIT_SIGNING_KEY.json").exists()
    with pytest.raises(CommandError) as failed:
        call_command("verify_audit_chain", stdout=io.StringIO())
    assert failed.value.returncode == 2


def test_a_retired_signing_key_still_verifies(signing_key):
    signing_key("current", "previous")
    damage.fill(1)
    row = AuditKey.objects.get()
    assert row.vouched_by == chain.signer().key_id
    signing_key_of_old = row.key_id
    path = settings.KEYRING.folder / "AUDIT_SIGNING_KEY.json"
    kept = json.loads(path.read_text())
    kept["versions"] = kept["versions"][:1]
    path.write_text(json.dumps(kept))
    settings.KEYRING._cache.clear()
    assert signing_key_of_old in chain.public_keys()
    assert found() == []
    with damage.unguarded():
        damage.run("UPDATE audit_auditkey SET signature = %s", "00" * 64)
    assert (Kind.SIGNATURE, 1) in found()


def test_a_bad_line_stops_neither_replay_nor_seal():
    folder = spill._folder()
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"at": "2026-11-20 10:00:00.000000", "action": "session.refused", "actor_name": "x"}
    lines = [
        json.dumps({"uid": f"00000000-0000-0000-0000-00000000000{number}", "record": told})
        for number, told in enumerate(
            [texts, {"at": "2026-01-01"}, {**texts, "outcome": "odd"}, {**texts, "payload": "[1"}]
        )
    ]
    file = folder / "replay-x.jsonl"
    file.write_text("\n".join([*lines, "[]", '{"uid": 1}']))
    kept = file.read_bytes()
    assert records.replay_spilled() == 1
    row = AuditRecord.objects.get(action="audit.spill_unreadable")
    assert json.loads(row.payload) == {"count": 5}
    assert len((folder / "unreadable.txt").read_text().splitlines()) == 5
    assert found() == []
    file.write_bytes(kept)
    assert records.replay_spilled() == 0
    assert AuditRecord.objects.filter(action="session.refused").count() == 1


def test_a_replay_that_fails_lets_the_seal_go_on():
    from audit.services.acts import act
    from core.actors import SYSTEM

    with act():
        records.record(actor=SYSTEM, action="thing.done")
    with mock.patch("audit.services.records.replay_spilled", side_effect=OSError("the disk")):
        seal.run(None)
    assert AuditLink.objects.count() == 1


def test_replace_by_another_unique_column_is_refused():
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL knows no REPLACE.")
    damage.fill(3)
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        damage.run(
            "INSERT OR REPLACE INTO audit_auditlink (record_id, seq, digest, chain) "
            "VALUES (99999, 2, x'00', x'00')"
        )
    assert AuditLink.objects.get(seq=2).record_id != 99999


def test_a_foreign_trigger_is_named():
    damage.fill(1)
    if connection.vendor == "postgresql":
        damage.run(
            "CREATE FUNCTION hush() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
        damage.run(
            "CREATE TRIGGER aaa BEFORE INSERT ON audit_auditrecord FOR EACH ROW "
            "WHEN (NEW.action = 'db.bypassed') EXECUTE FUNCTION hush()"
        )
    else:
        damage.run(
            "CREATE TRIGGER aaa BEFORE INSERT ON audit_auditrecord "
            "WHEN NEW.action = 'db.bypassed' BEGIN SELECT RAISE(IGNORE); END"
        )
    assert missing() == ["aaa on audit_auditrecord"]
    assert found() == [(Kind.TRIGGER, 0)]


@pytest.mark.postgres
def test_a_hollow_trigger_with_the_same_comment_is_named():
    name = "audit_guard_auditrecord"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname = %s", [name]
        )
        comment = cursor.fetchone()[0]
    damage.run(f"DROP TRIGGER {name} ON audit_auditrecord")
    damage.run(
        f"CREATE TRIGGER {name} BEFORE DELETE ON audit_auditrecord FOR EACH STATEMENT "
        "WHEN (false) EXECUTE FUNCTION audit_refuse()"
    )
    damage.run(f"COMMENT ON TRIGGER {name} ON audit_auditrecord IS '{comment}'")
    damage.run("CREATE RULE hush AS ON INSERT TO audit_auditlink DO INSTEAD NOTHING")
    assert missing() == [name, "rule or row security on audit_auditlink"]


def test_a_database_without_any_trigger_is_refused():
    guards.remove()
    assert [error.id for error in triggers_are_there(databases=["default"])] == ["audit.E001"]
    guards.install()
    assert triggers_are_there(databases=["default"]) == []


@pytest.mark.django_db(transaction=True)
def test_a_migration_tells_of_what_it_puts_back():
    name, (table, _) = next(iter(expected().items()))
    damage.run(f"DROP TRIGGER {name}" + (f" ON {table}" * (connection.vendor == "postgresql")))
    call_command("migrate", verbosity=0)
    assert missing() == []
    row = AuditRecord.objects.get(action="audit.triggers_restored")
    assert json.loads(row.payload) == {"count": 1, "triggers": name}
    assert Incident.objects.filter(dedup_key="platform.security:audit-damaged").count() == 1
    call_command("migrate", verbosity=0)
    assert AuditRecord.objects.filter(action="audit.triggers_restored").count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_silences_triggers_is_named():
    if connection.vendor == "postgresql":
        damage.run("ALTER ROLE CURRENT_USER SET ops.audit = 'act'")
        try:
            assert missing() == ["setting ops.audit"]
        finally:
            damage.run("ALTER ROLE CURRENT_USER RESET ops.audit")
    else:
        damage.run("INSERT INTO audit_ctx (id) VALUES (7)")
        assert missing() == ["row left in audit_ctx"]
        damage.run("DELETE FROM audit_ctx")
    assert missing() == []


@pytest.mark.parametrize("args", [["--from=9"], ["--to=0"], ["--from=2", "--to=1"], ["--from=-3"]])
def test_a_range_that_is_not_there_cannot_be_verified(args):
    damage.fill(2)
    with pytest.raises(CommandError, match="Nothing is sealed from") as failed:
        call_command("verify_audit_chain", *args, stdout=io.StringIO())
    assert failed.value.returncode == 2


def test_a_clock_that_was_set_forward_archives_nothing():
    damage.fill(5)
    ahead = timezone.now() + timedelta(days=400)
    with mock.patch("audit.services.archives.timezone.now", return_value=ahead):
        assert archives.archive_all() == 0
    assert AuditArchive.objects.count() == 0
    row = AuditRecord.objects.get(action="audit.archive_failed")
    assert row.outcome == "error"
    assert Incident.objects.filter(dedup_key="platform.security:audit-retention").count() == 1


def test_a_restore_is_declared_by_a_command(tmp_path):
    damage.fill(4, batches=2)
    file = tmp_path / "head.json"
    file.write_text(json.dumps(chain.told(chain.last_checkpoint())))
    with damage.unguarded():
        damage.truncate(4)
    before = Installation.objects.filter(pk=1).values_list("generation", flat=True).first() or 0
    call_command("declare_restored", head=file, stdout=io.StringIO())
    assert Installation.objects.get(pk=1).generation > before
    assert AuditRecord.objects.filter(action="sessions.ended").count() == 1
    out = io.StringIO()
    call_command("verify_audit_chain", checkpoint=file, stdout=out)
    assert out.getvalue().startswith(
        "Declared fork: the database was restored by command declare_restored"
    )
    assert heads.chain.kept_head()["size"] > 4
    assert AuditCheckpoint.objects.filter(forged="").count() == AuditCheckpoint.objects.count()
