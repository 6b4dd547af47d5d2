"""What the page of a heartbeat shows: its address, how to report, what was reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from reliability.engine.heartbeats import LEAST_RUNTIME, RUNS_COMPARED, usual
from reliability.models import Check, Heartbeat, HeartbeatPing
from reliability.selectors import heartbeats
from reliability.selectors.bars import span

if TYPE_CHECKING:
    from django.http import HttpRequest

CHANGE_CHECK: Final = "reliability.change_check"
_SHOWN: Final = 20
_RUN_ID_SHOWN: Final = 80
_MINUTE_MS: Final = 60_000
_CURL: Final = "curl -fsS -m 10 --retry 5 -o /dev/null"
# systemd makes $ of $$, and tells no status of a job that it could not even start.
_SYSTEMD: Final = """\
[Service]
Type=oneshot
ExecStartPre=-{curl} {address}/start
ExecStart=/path/to/job
ExecStopPost=-/bin/sh -c '{curl} {address}/$${{EXIT_STATUS:-fail}}'"""


def heartbeat_of(request: HttpRequest, check: Check) -> dict[str, Any]:
    """Return what the page of a heartbeat shows beside its state and history."""
    heartbeat = Heartbeat.objects.get(pk=check.pk)
    shown: dict[str, Any] = {
        "heartbeat": heartbeat,
        "rhythm": rhythm_facts(heartbeat),
        "is_own_job": bool(heartbeat.job),
    }
    if request.user.has_perm(CHANGE_CHECK) and not heartbeat.job:
        address = heartbeats.address(heartbeat)
        shown |= {
            "address": address,
            "commands": commands(heartbeat, address),
            "rotate_url": reverse("admin:reliability_heartbeat_rotate", args=[check.pk]),
        }
    if request.user.has_perm("reliability.view_heartbeatping"):
        shown["pings"] = _pings(heartbeat)
        shown["usual"] = _usual(heartbeat)
    return shown


def commands(heartbeat: Heartbeat, address: str) -> list[tuple[str, str]]:
    """Return how a job reports, ready to copy."""
    when_due = heartbeat.cron if heartbeat.schedule == Heartbeat.Schedule.CRON else "0 2 * * *"
    whole = f"{_CURL} {address}/start; /path/to/job; {_CURL} {address}/$?"
    return [
        ("Success", f"{_CURL} {address}"),
        ("Start, run, end with its exit code", whole),
        ("As a line of a crontab", f"{when_due} {whole}"),
        ("As a systemd service", _SYSTEMD.format(curl=_CURL, address=address)),
        ("With the end of its log", f"tail -c 10000 job.log | {_CURL} --data-binary @- {address}"),
    ]


def expected(heartbeat: Heartbeat) -> str:
    """Return how often a job has to report."""
    if heartbeat.schedule == Heartbeat.Schedule.CRON:
        return f"{heartbeat.cron} ({heartbeat.time_zone})"
    return f"every {seconds(heartbeat.period_seconds)}"


def rhythm_facts(heartbeat: Heartbeat) -> list[tuple[str, object]]:
    """Return how often a job has to report, and when it did."""
    longest = heartbeat.max_runtime_seconds or max(heartbeat.grace_seconds, LEAST_RUNTIME)
    facts: list[tuple[str, object]] = [
        ("Expected", expected(heartbeat)),
        ("May be late by", seconds(heartbeat.grace_seconds)),
        ("A run may take", seconds(longest)),
        ("Last success", when(heartbeat.last_success_at, "never")),
    ]
    if heartbeat.started_at is not None:
        facts.append(("Runs since", when(heartbeat.started_at)))
    if heartbeat.last_duration_ms is not None:
        facts.append(("Last run took", milliseconds(heartbeat.last_duration_ms)))
    facts.append(("Late from", when(heartbeat.due_at, "nothing is due")))
    if heartbeat.job:
        facts.append(("Job of the schedule", heartbeat.job))
    return facts


def seconds(value: int) -> str:
    """Return a length of time in words."""
    return span(value * 1_000_000)


def milliseconds(value: int | None) -> str:
    """Return how long a run took."""
    if value is None:
        return ""
    return span(value * 1_000) if value >= _MINUTE_MS else f"{value / 1000:.1f} s"


def ping_badge(ping: HeartbeatPing) -> str:
    """Return what was reported, as a coloured word."""
    tones = {"success": "ok", "fail": "bad", "start": "info", "log": "unknown"}
    text = ping.get_kind_display()
    if ping.exit_code:
        text = f"{text} ({ping.exit_code})"
    return badge(ping.kind, text, tones[ping.kind])


def _pings(heartbeat: Heartbeat) -> Table:
    newest = heartbeats.pings(heartbeat.pk)[:_SHOWN]
    return Table(
        columns=[
            Column("At"),
            Column("Report"),
            Column("Took", numeric=True),
            Column("Run"),
            Column("Wrote", numeric=True),
        ],
        rows=[
            [
                when(ping.at),
                ping_badge(ping),
                milliseconds(ping.duration_ms),
                ping.run_id[:_RUN_ID_SHOWN] or "-",
                _link(ping),
            ]
            for ping in newest
        ],
        caption="Last reports",
        empty="No report yet. The first one brings the job up.",
    )


def _link(ping: HeartbeatPing) -> str:
    if not ping.body:
        return "-"
    page = reverse("admin:reliability_heartbeatping_change", args=[ping.pk])
    return format_html('<a href="{}">{} characters</a>', page, len(ping.body))


def _usual(heartbeat: Heartbeat) -> str:
    found = usual(heartbeats.last_durations(heartbeat.pk, most=RUNS_COMPARED))
    if found is None:
        return ""
    return f"Its runs usually take {milliseconds(found.low_ms)} to {milliseconds(found.high_ms)}."
