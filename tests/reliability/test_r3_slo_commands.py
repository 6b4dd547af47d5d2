"""The command slo_guard: a table or JSON, and an exit code for gates."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from reliability.management.commands import slo_guard
from reliability.models import SLO, Alert, SLOSnapshot
from reliability.services import objectives
from tests.reliability.pasts import DAY, HOUR, stood


def test_without_an_objective_it_says_so(db, capsys):
    call_command("slo_guard", once=True)

    assert capsys.readouterr().out.startswith("No objective is switched on.")


def test_it_prints_a_table_and_stores_snapshots(make_check, capsys):
    check = make_check()
    stood(check, timezone.now(), ("up", 40 * DAY))

    call_command("slo_guard", once=True)

    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["state", "objective"]
    assert row.split("  ")[0] == "ok"
    assert ("Service 1: Availability" in row, "99.5 %" in row, "100 %" in row) == (True,) * 3
    assert SLOSnapshot.objects.get().state == "ok"


def test_it_exits_1_when_a_gate_fails_and_raises_its_alert(make_check, capsys):
    check = make_check()
    stood(check, timezone.now(), ("up", 40 * DAY), ("down", 12 * HOUR), ("up", 6 * HOUR))

    with pytest.raises(SystemExit) as caught:
        call_command("slo_guard", once=True)

    assert caught.value.code == 1
    assert "fails its gate" in capsys.readouterr().out
    assert Alert.objects.filter(rule="slo_budget_low").count() == 1


def test_json_says_the_same(make_check, capsys, operator):
    check = make_check()
    stood(check, timezone.now(), ("up", 40 * DAY), ("down", 12 * HOUR), ("up", 6 * HOUR))
    slo = SLO.objects.get()
    objectives.update(actor=operator, slo_id=slo.pk, gate=False)

    call_command("slo_guard", once=True, json=True)

    (told,) = json.loads(capsys.readouterr().out)
    assert (told["slo"], told["state"], told["gate"], told["fails_gate"]) == (
        slo.pk,
        "exhausted",
        False,
        False,
    )
    assert told["budget_remaining"] == pytest.approx(1 - 6 / 3.6, abs=0.001)


def test_in_a_drill_it_tells_nobody(make_check, settings, capsys):
    check = make_check()
    stood(check, timezone.now(), ("up", 40 * DAY), ("down", 12 * HOUR))
    settings.OPS_MODE = "drill"

    with pytest.raises(SystemExit):
        call_command("slo_guard", once=True)

    assert (Alert.objects.count(), SLOSnapshot.objects.count()) == (0, 0)


def test_without_once_it_runs_the_loop_alone(monkeypatch, db):
    called = []
    monkeypatch.setattr(slo_guard, "call_command", lambda *args: called.append(args))

    call_command("slo_guard")

    assert called == [("daemon", "--only", "reliability.slo")]
    with pytest.raises(CommandError, match="--once"):
        call_command("slo_guard", json=True)
