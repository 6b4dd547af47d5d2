"""What the page of a check shows."""

from __future__ import annotations

import itertools
from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from core.components import Column, Table, when
from reliability.admin.contexts.heartbeats import heartbeat_of
from reliability.admin.contexts.shared import PHASES, link, timings, verdict, watched
from reliability.admin.display import clock, last_answer, milliseconds
from reliability.engine import assertions
from reliability.models import Check, Sample
from reliability.selectors import results, states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpRequest

    from reliability.selectors.results import Found

_RESULTS_SHOWN: Final = 20
_LOOKED_BACK: Final = timedelta(days=7)
# A look-up of records is one piece, and a heartbeat is not asked.
_PHASES_OF_KIND: Final[dict[str, dict[str, str]]] = {
    Check.Kind.HTTP: PHASES,
    Check.Kind.TCP: {key: PHASES[key] for key in ("dns_ms", "connect_ms")},
    Check.Kind.TLS: {key: PHASES[key] for key in ("dns_ms", "connect_ms", "tls_ms")},
    Check.Kind.ICMP: {"dns_ms": PHASES["dns_ms"], "first_byte_ms": "Reply"},
}


def check_context(request: HttpRequest, check: Check, *, sees_urls: bool) -> dict[str, Any]:
    """Return what the page of a check shows."""
    said = check.says
    shown: dict[str, Any] = {
        "state": said.state.value if check.enabled else "off",
        "since": said.since,
        "answer": last_answer(check),
        "next_at": states.next_probe(check),
        "threshold": check.degraded_ms,
        "is_flapping": check.state.is_flapping,
        "facts": _facts(request, check, check.target if sees_urls else check.shown_url),
        **watched(request, check),
    }
    if check.kind == Check.Kind.HEARTBEAT:
        shown |= heartbeat_of(request, check)
        shown["facts"] += shown["rhythm"]
        # Nobody can ask it, and when it is late stands among the facts.
        shown |= {"run_url": "", "next_at": None}
    elif request.user.has_perm("reliability.view_sample"):
        phases = _PHASES_OF_KIND.get(check.kind, {})
        shown["results"] = _results(check, phases)
        shown["phases"] = ",".join(f"{key}:{label}" for key, label in reversed(phases.items()))
    return shown


def _facts(request: HttpRequest, check: Check, target: str) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("Service", link(request, "service", check.service_id, check.service.name))
    ]
    if check.kind != Check.Kind.HEARTBEAT:
        facts += [
            ("Kind", check.get_kind_display()),
            ("Asks", f"{check.method} {target}" if check.kind == Check.Kind.HTTP else target),
            *_facts_of_kind(check),
            ("Every", f"{check.interval_seconds} s, at most {check.timeout_seconds} s long"),
            ("Slow above", milliseconds(check.degraded_ms) or "-"),
            (
                "Down after",
                _in_a_row(check.strikes_down, "failure")
                + (", at once if definite" if check.down_at_once else ""),
            ),
            ("Up after", _in_a_row(check.strikes_up, "success", "es")),
        ]
    if check.ip_family != Check.Family.ANY:
        facts.append(("Addresses", check.get_ip_family_display()))
    parents = check.parents.select_related("service").defer("headers").order_by("pk")
    if named := [link(request, "check", parent.pk, str(parent)) for parent in parents]:
        facts.append(("Depends on", format_html_join(", ", "{}", ((name,) for name in named))))
    if check.tags:
        facts.append(("Tags", ", ".join(check.tags)))
    return facts


def _in_a_row(count: int, what: str, ending: str = "s") -> str:
    return f"one {what}" if count == 1 else f"{count} {what}{ending} in a row"


def _facts_of_kind(check: Check) -> list[tuple[str, object]]:
    find = _FACTS_OF_KIND.get(check.kind)
    return find(check) if find is not None else []


def _http_facts(check: Check) -> list[tuple[str, object]]:
    has_headers = Check.objects.filter(pk=check.pk).exclude(headers=None).exists()
    rules = [
        f"status {check.accept}",
        f"“{check.body_contains}” in the answer" if check.body_contains else "",
        *assertions.to_lines(check.assertions).splitlines(),
        "" if check.tls_verify else "any certificate",
        "" if check.follow_redirects else "no redirect",
    ]
    return [
        ("Own headers", "set, never shown" if has_headers else "none"),
        ("Good", ", ".join(rule for rule in rules if rule)),
        *_certificate(check),
    ]


def _dns_facts(check: Check) -> list[tuple[str, object]]:
    expected = check.dns_expected.splitlines()
    return [
        ("Name server", check.dns_server or "the machine's own"),
        ("Good", format_html_join(mark_safe("<br>"), "{}", ((line,) for line in expected)))
        if expected
        else ("Good", f"any {check.dns_type} record"),
    ]


def _certificate(check: Check) -> list[tuple[str, object]]:
    """Return until when the certificate holds that was shown last."""
    state = check.state
    if state.cert_not_after is None:
        return []
    warns = f"warns {check.tls_min_days} days before" if check.tls_min_days else "warns never"
    return [
        ("Certificate until", format_html("{}, {}", when(state.cert_not_after), warns)),
        ("Fingerprint", format_html("<code>{}</code>", state.cert_fingerprint[:16])),
    ]


_FACTS_OF_KIND: Final[Mapping[str, Callable[[Check], list[tuple[str, object]]]]] = {
    Check.Kind.HTTP: _http_facts,
    Check.Kind.DNS: _dns_facts,
    Check.Kind.TLS: _certificate,
}


def _results(check: Check, phases: Mapping[str, str]) -> Table:
    found = Sample.objects.filter(check_of=check).order_by("-at").defer("excerpt")
    newest = list(found[:_RESULTS_SHOWN])
    # What never happens has no column: no name is looked up for an address.
    total = "Total" if phases else "Latency"
    phases = {key: label for key, label in phases.items() if any(map(attrgetter(key), newest))}
    rows = [
        [
            clock(sample.at),
            verdict(ok=sample.ok),
            _said(sample),
            *timings(*(getattr(sample, key) for key in phases), sample.latency_ms),
        ]
        for sample in newest
    ]
    return Table(
        columns=[
            Column("At, UTC"),
            Column("Result"),
            Column("Answer"),
            *(Column(label, numeric=True, room="medium") for label in phases.values()),
            Column(total, numeric=True),
        ],
        rows=rows if len(rows) == _RESULTS_SHOWN else [*rows, *_packed(check, len(rows), phases)],
        caption="Last results",
        empty="No result yet. The first comes within seconds.",
    )


def _packed(check: Check, shown: int, phases: Mapping[str, str]) -> list[list[Any]]:
    """Return older results, whose rows have left; their phases are added up by the hour."""
    now = timezone.now()
    found = results.of_check(check.pk, start=now - _LOOKED_BACK, end=now)
    return [
        [
            clock(one.at),
            verdict(ok=one.ok),
            _said(one),
            *timings(*(None for _ in phases), one.latency_ms),
        ]
        for one in itertools.islice(found, shown, _RESULTS_SHOWN)
    ]


def _said(result: Sample | Found) -> str:
    said = results.answer_of(result.detail, result.status_code)
    return f"{said} (by hand)" if result.manual else said
