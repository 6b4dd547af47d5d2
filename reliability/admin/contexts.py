"""What the pages of one service, check, incident or test show, each part to whom may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.components import Column, Progress, Table, badge, when
from reliability.admin.display import last_answer, milliseconds, web_link
from reliability.admin.pages import history_of
from reliability.engine.history import micros
from reliability.models import Check, Incident, IncidentEvent, Sample, Service, UptimeTest
from reliability.selectors import history, states
from reliability.selectors.bars import age, span
from reliability.selectors.incidents import SEE_ANSWERS

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

_SHOWN: Final = 10
_RESULTS_SHOWN: Final = 20
_TONES: Final = {
    IncidentEvent.Kind.OPENED: "bad",
    IncidentEvent.Kind.ACKNOWLEDGED: "warn",
    IncidentEvent.Kind.RESOLVED: "ok",
    IncidentEvent.Kind.NOTE: "info",
}


def service_context(request: HttpRequest, service: Service) -> dict[str, Any]:
    """Return what the page of a service shows."""
    may = request.user.has_perm
    checks = list(service.checks.all())
    limits = [check.degraded_ms for check in checks if check.degraded_ms]
    shown: dict[str, Any] = {
        "state": states.worst_state(service).value,
        "since": states.service_since(service),
        "is_watched": any(check.enabled for check in checks),
        "threshold": min(limits, default=None),
        "facts": [
            ("Tier", service.get_tier_display()),
            ("Environment", service.get_environment_display()),
            ("Owner", service.owner or "-"),
            ("URL", web_link(service.url) or "-"),
            ("Added", when(service.created_at)),
        ],
        "may_run": may("reliability.run_uptimetest") and bool(checks),
        "may_edit": may("reliability.change_service"),
        "may_add_check": may("reliability.add_check"),
    }
    if may("reliability.view_statesegment"):
        shown |= history_of(request, history.windows(service_id=service.pk))
    if may("reliability.view_check"):
        shown["checks"] = _checks(checks)
    if may("reliability.view_incident"):
        shown["incidents"] = _incidents(Incident.objects.filter(service=service))
    return shown


def check_context(request: HttpRequest, check: Check, *, sees_urls: bool) -> dict[str, Any]:
    """Return what the page of a check shows."""
    may = request.user.has_perm
    said = check.says
    shown: dict[str, Any] = {
        "state": said.state.value if check.enabled else "off",
        "since": said.since,
        "answer": last_answer(check),
        "next_at": states.next_probe(check),
        "threshold": check.degraded_ms,
        "facts": _check_facts(check, check.url if sees_urls else check.shown_url),
        "may_run": may("reliability.run_uptimetest"),
        "may_edit": may("reliability.change_check"),
    }
    if may("reliability.view_statesegment"):
        shown |= history_of(request, history.windows(check_id=check.pk))
    if may("reliability.view_sample"):
        shown["results"] = _results(check)
    if may("reliability.view_incident"):
        shown["incidents"] = _incidents(Incident.objects.filter(check_of=check))
    return shown


def incident_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """Return what the page of an incident shows."""
    may = request.user.has_perm
    is_open = incident.state != Incident.State.RESOLVED
    shown: dict[str, Any] = {
        "is_open": is_open,
        "lasted": lasted(incident),
        "facts": _incident_facts(incident),
        "may_acknowledge": may("reliability.acknowledge_incident")
        and incident.state == Incident.State.TRIGGERED,
        "may_resolve": may("reliability.change_incident") and is_open,
        "may_note": may("reliability.acknowledge_incident"),
        "may_see_latency": may("reliability.view_sample") and incident.check_of_id is not None,
        "answer": incident.excerpt if may(SEE_ANSWERS) else "",
    }
    if may("reliability.view_incidentevent"):
        shown["timeline"] = [
            (event, _TONES.get(IncidentEvent.Kind(event.kind), ""))
            for event in reversed(incident.events.all())
        ]
    return shown


def test_context(request: HttpRequest, test: UptimeTest) -> dict[str, Any]:
    """Return what the page of an uptime test shows."""
    count = len(test.check_ids)
    is_over = test.finished_at is not None
    may_cancel = request.user.has_perm("reliability.run_uptimetest") and not (
        is_over or test.cancel_requested_at
    )
    cancel_url = reverse("admin:reliability_uptimetest_cancel", args=[test.pk])
    phase = "Waits for a worker" if test.state == UptimeTest.State.QUEUED else "Asked"
    if test.cancel_requested_at and not is_over:
        phase = "Is being cancelled"
    return {
        "is_over": is_over,
        "work": Progress(
            label=str(test),
            done=count * test.progress // 100,
            total=count if test.state == UptimeTest.State.RUNNING else 0,
            phase=phase,
            started_at=test.created_at,
            cancel_url=cancel_url if may_cancel else "",
        ),
        "took": span(micros(test.finished_at) - micros(test.created_at))
        if test.finished_at
        else "",
        "table": Table(
            columns=[
                Column("Result"),
                Column("Check"),
                Column("Answer"),
                Column("Name", numeric=True),
                Column("Connection", numeric=True),
                Column("TLS", numeric=True),
                Column("First byte", numeric=True),
                Column("Total", numeric=True),
            ],
            rows=[_test_row(result) for result in _failures_first(test.results)],
            caption="Results",
            empty="No result yet." if not is_over else "Nothing was found out.",
        ),
    }


def _failures_first(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(results, key=lambda result: bool(result["ok"]))


def _test_row(result: dict[str, Any]) -> list[object]:
    phases = result["phases"]
    page = reverse("admin:reliability_check_page", args=[result["check"]])
    name = f"{result['service']}: {result['name']}"
    return [
        badge("ok", "OK") if result["ok"] else badge("failed"),
        format_html('<a href="{}">{}</a>', page, name),
        result["detail"] or f"HTTP {result['status_code']}",
        *(milliseconds(phases[key]) for key in ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")),
        milliseconds(result["latency_ms"]),
    ]


def _checks(checks: list[Check]) -> Table:
    return Table(
        columns=[
            Column("State"),
            Column("Check"),
            Column("For", numeric=True),
            Column("Last answer"),
            Column("Latency", numeric=True),
            Column("Asked"),
            Column("Next"),
        ],
        rows=[_check_row(check) for check in checks],
        caption="Checks",
    )


def _check_row(check: Check) -> list[object]:
    said = check.says
    page = reverse("admin:reliability_check_page", args=[check.pk])
    return [
        badge(said.state.value if check.enabled else "off"),
        format_html('<a href="{}">{}</a>', page, check.label),
        format_html(
            '<span title="{} UTC">{}</span>', f"{said.since:%Y-%m-%d %H:%M:%S}", age(said.since)
        ),
        last_answer(check),
        milliseconds(check.state.last_ms),
        when(check.state.last_at),
        _soon(states.next_probe(check)),
    ]


def _soon(moment: datetime | None) -> str:
    """Return when something is due; what should have been is due now."""
    if moment is None:
        return "-"
    return "now" if moment <= timezone.now() else when(moment)


def _check_facts(check: Check, url: str) -> list[tuple[str, object]]:
    service = reverse("admin:reliability_service_page", args=[check.service_id])
    has_headers = Check.objects.filter(pk=check.pk).exclude(headers=None).exists()
    rules = [
        f"status {check.accept}",
        f"“{check.body_contains}” in the answer" if check.body_contains else "",
        "" if check.tls_verify else "any certificate",
        "" if check.follow_redirects else "no redirect",
    ]
    return [
        ("Service", format_html('<a href="{}">{}</a>', service, check.service.name)),
        ("Asks", f"{check.method} {url}"),
        ("Own headers", "set, never shown" if has_headers else "none"),
        ("Every", f"{check.interval_seconds} s, at most {check.timeout_seconds} s long"),
        ("Good", ", ".join(rule for rule in rules if rule)),
        ("Slow above", milliseconds(check.degraded_ms) or "-"),
        ("Down after", f"{check.strikes_down} failures in a row"),
        ("Up after", f"{check.strikes_up} successes in a row"),
    ]


def _results(check: Check) -> Table:
    newest = Sample.objects.filter(check_of=check).order_by("-at").defer("excerpt")
    return Table(
        columns=[
            Column("At"),
            Column("Result"),
            Column("Answer"),
            Column("Name", numeric=True),
            Column("Connection", numeric=True),
            Column("TLS", numeric=True),
            Column("First byte", numeric=True),
            Column("Total", numeric=True),
        ],
        rows=[
            [
                when(sample.at),
                badge("ok", "OK") if sample.ok else badge("failed"),
                (sample.detail or f"HTTP {sample.status_code}")
                + (" (by hand)" if sample.manual else ""),
                *(
                    milliseconds(value)
                    for value in (
                        sample.dns_ms,
                        sample.connect_ms,
                        sample.tls_ms,
                        sample.first_byte_ms,
                        sample.latency_ms,
                    )
                ),
            ]
            for sample in newest[:_RESULTS_SHOWN]
        ],
        caption="Last results",
        empty="No result yet. The first comes within seconds.",
    )


def _incidents(found: QuerySet[Incident]) -> Table:
    newest = found.select_related("owner").defer("excerpt").order_by("-id")
    return Table(
        columns=[
            Column("State"),
            Column("Incident"),
            Column("Began"),
            Column("Lasted", numeric=True),
            Column("Owner"),
        ],
        rows=[
            [
                badge(incident.state),
                format_html(
                    '<a href="{}">{}</a>',
                    reverse("admin:reliability_incident_change", args=[incident.pk]),
                    incident.title,
                ),
                when(incident.started_at),
                lasted(incident),
                incident.owner or "-",
            ]
            for incident in newest[:_SHOWN]
        ],
        caption="Incidents",
        empty="No incident so far.",
    )


def lasted(incident: Incident) -> str:
    """Return how long an incident lasted, or lasts."""
    end = incident.resolved_at or timezone.now()
    return span(round((end - incident.started_at).total_seconds() * 1_000_000))


def _incident_facts(incident: Incident) -> list[tuple[str, object]]:
    service: object = incident.service_name
    if incident.service_id is not None:
        page = reverse("admin:reliability_service_page", args=[incident.service_id])
        service = format_html('<a href="{}">{}</a>', page, incident.service_name)
    check: object = "deleted"
    if incident.check_of is not None:
        page = reverse("admin:reliability_check_page", args=[incident.check_of.pk])
        check = format_html('<a href="{}">{}</a>', page, incident.check_of.label)
    return [
        ("Service", service),
        ("Check", check),
        ("Severity", badge(incident.severity)),
        ("Owner", incident.owner or "nobody yet"),
        ("Began", when(incident.started_at)),
        ("Noticed", when(incident.opened_at)),
        ("Acknowledged", when(incident.acknowledged_at)),
        ("Resolved", when(incident.resolved_at)),
        ("Lasted", lasted(incident)),
        ("Found", incident.detail or incident.failure or "-"),
    ]
