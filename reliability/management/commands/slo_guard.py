"""Command: judge objectives once, or look for fast burns again and again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from core.drill import is_drill
from reliability.selectors import objectives
from reliability.selectors.bars import percent
from reliability.services import guard
from reliability.services.slo_loop import LEASE

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from reliability.selectors.objectives import Standing


class Command(BaseCommand):
    """Guard the error budgets; with --once, judge them once and exit 1 if a gate fails."""

    help = (
        "Run the loop that notices fast burns; with --once judge every objective now, as happens "
        "each quarter of an hour, and exit 1 if less than a fifth of a gating budget is left."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="judge every objective now")
        parser.add_argument("--json", action="store_true", help="with --once: print JSON")

    def handle(self, *args: object, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        if not options["once"]:
            if options["json"]:
                message = "--json goes with --once."
                raise CommandError(message)
            call_command("daemon", "--only", LEASE)
            return
        # A copy in a drill tells nobody anything.
        found = objectives.all_standings() if is_drill() else guard.guard()
        if options["json"]:
            self.stdout.write(json.dumps([_told(standing) for standing in found], indent=2))
        else:
            self._table(found)
        if any(standing.fails_gate for standing in found):
            raise SystemExit(1)

    def _table(self, found: list[Standing]) -> None:
        if not found:
            self.stdout.write("No objective is switched on. Each new service gets one.")
            return
        width = max(len(str(standing.slo)) for standing in found)
        self.stdout.write(
            f"{'state':<13} {'objective':<{width}} {'promised':>10} {'reached':>10} "
            f"{'budget left':>12} {'burn 1h':>8} {'burn 1d':>8}"
        )
        for one in found:
            reached = percent(one.sli) if one.is_sufficient else "-"
            left = _share(one.remaining_share) if one.is_sufficient else "-"
            gate = "  fails its gate" if one.fails_gate else ""
            self.stdout.write(
                f"{one.state.value:<13} {one.slo!s:<{width}} "
                f"{objectives.target(one.slo.objective):>10} {reached:>10} {left:>12} "
                f"{_rate(one.burn_rates['1h']):>8} {_rate(one.burn_rates['1d']):>8}{gate}"
            )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _told(found: Standing) -> dict[str, Any]:
    return {
        "slo": found.slo.pk,
        "service": found.slo.service.name,
        "name": found.slo.name,
        "objective": found.slo.objective,
        "state": found.state.value,
        "availability": found.sli,
        "coverage": found.coverage,
        "budget_used": found.used_share,
        "budget_remaining": found.remaining_share,
        "burn_rates": found.burn_rates,
        "burn_per_day": found.per_day,
        "exhausted_at": found.exhausted_at.isoformat() if found.exhausted_at else None,
        "gate": found.slo.gate,
        "fails_gate": found.fails_gate,
    }
