"""Processes that are killed, race each other, or know nothing of the platform (A8)."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection

from audit.models import AuditCheckpoint, AuditLink, AuditRecord
from audit.selectors import chain
from audit.services import verification
from audit.services.seal import seal_all

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

ROOT = Path(settings.BASE_DIR)
_ACT = """
import django; django.setup()
from itertools import count
from django.contrib.auth.models import Group
from audit.services.acts import audited
from audit.services.records import record
from core.actors import SYSTEM

@audited
def add(name):
    group = Group.objects.create(name=name)
    record(actor=SYSTEM, action="role.created", target=group)

print("ready", flush=True)
for number in range({count}):
    add(f"{name}-{{number}}")
"""
_SEAL = """
import django; django.setup()
import time
from audit.services.seal import seal_all
print("ready", flush=True)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    seal_all()
"""


@pytest.fixture(autouse=True)
def _no_kept_head():
    chain.head_file().unlink(missing_ok=True)


def start(code: str) -> subprocess.Popen[str]:
    """Run code in a process of its own, on the database of this test."""
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}").geturl()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "opsplatform.settings", "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def made(prefix):
    """Return the names of the groups and those in the records: both or neither."""
    groups = set(Group.objects.filter(name__startswith=prefix).values_list("name", flat=True))
    told = AuditRecord.objects.filter(action="role.created", target_name__startswith=prefix)
    return groups, set(told.values_list("target_name", flat=True))


def test_a_kill_leaves_the_act_with_its_record_or_neither():
    rng = random.Random(9)  # noqa: S311  # the same moments each time
    for kill in range(6):
        process = start(_ACT.format(count=100_000, name=f"storm{kill}"))
        time.sleep(rng.uniform(0.05, 0.4))
        process.kill()
        process.wait()
        process.stdout.close()
    groups, told = made("storm")
    assert len(groups) > 20
    assert groups == told
    assert not AuditRecord.objects.filter(action="db.bypassed").exists()
    seal_all()
    assert verification.verify().findings == []


def test_writers_and_two_sealers_make_one_chain():
    sealers = [start(_SEAL.format(seconds=6)) for _ in range(2)]
    writers = [start(_ACT.format(count=100, name=f"writer{number}")) for number in range(4)]
    for process in (*writers, *sealers):
        assert process.wait(60) == 0
        process.stdout.close()
    seal_all()
    groups, told = made("writer")
    assert len(groups) == 400
    assert groups == told
    seqs = list(AuditLink.objects.order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(1, AuditRecord.objects.count() + 1))
    assert AuditCheckpoint.objects.order_by("-id").first().size == len(seqs)
    assert verification.verify().findings == []


def test_another_program_leaves_its_record():
    name = connection.settings_dict["NAME"]
    sql = "INSERT INTO auth_group (name) VALUES ('by hand')"
    if connection.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, application_name="somebody's script") as other:
            other.execute(sql)
    else:
        other = sqlite3.connect(name, timeout=20)
        with other:
            other.execute(sql)
        other.close()
    row = AuditRecord.objects.get()
    assert (row.action, row.actor_kind, row.target_type) == (
        "db.bypassed",
        "database",
        "auth.Group",
    )
    assert row.target_id == str(Group.objects.get(name="by hand").pk)
    assert row.user_agent == ("somebody's script" if connection.vendor == "postgresql" else "")
    seal_all()
    assert verification.verify().findings == []
