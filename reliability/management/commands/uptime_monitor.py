"""Command: run the probe loop alone, or every check once."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.actors import Actor
from core.errors import DomainError
from reliability.selectors import configuration
from reliability.selectors.results import answer_of
from reliability.services import uptime_tests
from reliability.services.probes import LEASE


class Command(BaseCommand):
    """Watch the services; with --once, look once and exit 1 if anything is down."""

    help = "Run the probe loop alone; with --once run every check now and exit 1 if any fails."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="run every check now, moving no strikes"
        )

    def handle(self, *args: object, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        if not options["once"]:
            call_command("daemon", "--only", LEASE)
            return
        wanted = len(configuration.versions())
        try:
            results = uptime_tests.run_all(actor=Actor.command("uptime_monitor"))
        except DomainError as error:
            raise CommandError(error.message) from error
        if not wanted:
            self.stdout.write("No check is switched on. Add one: manage.py services add URL")
            return
        width = max((len(result["service"]) for result in results), default=0)
        for result in results:
            verdict = "up" if result["ok"] else "DOWN"
            told = answer_of(result["detail"], result["status_code"])
            self.stdout.write(
                f"{verdict:<4}  {result['service']:<{width}}  {result['latency_ms']:>8.1f} ms  "
                f"{told}  {result['url']}"
            )
        failed = sum(1 for result in results if not result["ok"])
        unknown = max(0, wanted - len(results))
        self.stdout.write(f"{len(results) - failed} up, {failed} down")
        if unknown:
            self.stderr.write(f"{unknown} could not be run; the log tells why.")
        if failed or unknown:
            raise SystemExit(1)
