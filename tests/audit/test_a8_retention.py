"""Archiving is killed, or finds the log in use by somebody else (A8)."""

import gzip
import json
from datetime import timedelta
from unittest import mock

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import AuditArchive, AuditLink, AuditRecord
from audit.selectors import archived, chain
from audit.services import archives, verification
from tests.audit import damage
from tests.audit.test_a8_processes import start

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

_ARCHIVE = """
import django; django.setup()
from datetime import timedelta
from pathlib import Path
from django.conf import settings
from django.utils import timezone
from audit.services import archives
settings.OPS_DATA_DIR = Path({folder!r})
def reached(archive):
    print("ready", flush=True)
    import time
    time.sleep(60)
archives._let_go = reached
archives._archive_next(timezone.now() + timedelta(days=1))
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, settings):
    settings.OPS_DATA_DIR = tmp_path


def test_a_kill_between_file_and_deletion_loses_nothing(tmp_path):
    damage.fill(4, batches=2)
    process = start(_ARCHIVE.format(folder=str(tmp_path)))
    process.kill()
    process.wait()
    process.stdout.close()
    [file] = archived.folder().glob("*.gz")
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == 11
    assert AuditArchive.objects.count() == 0
    assert AuditLink.objects.count() == 8
    assert archives._archive_next(timezone.now() + timedelta(days=1)) == 8
    assert verification.verify().findings == []
    assert AuditArchive.objects.get().file == file.name


@pytest.mark.postgres
def test_a_log_in_use_is_left_alone_and_told():
    damage.fill(4)
    reader = connection.copy()
    reader.connect()
    try:
        reader.set_autocommit(False)
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM audit_auditrecord")
        now = timezone.now() + timedelta(days=366)
        with (
            mock.patch.object(archives, "_TRIES", 2),
            mock.patch.object(archives, "_PAUSE_SECONDS", 0),
            mock.patch.object(archives, "_refuse_doubtful_clock"),
            mock.patch("audit.services.archives.timezone.now", return_value=now),
        ):
            assert archives.archive_all() == 0
        row = AuditRecord.objects.get(action="audit.archive_failed")
        assert "lock" in row.reason
        assert json.loads(row.payload) == {}
        assert AuditLink.objects.count() >= 4
    finally:
        reader.close()
    chain.head_file().unlink(missing_ok=True)
    assert archives._archive_next(timezone.now() + timedelta(days=1)) > 0
