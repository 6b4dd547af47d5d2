"""Command: the service catalogue on the command line."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from core.actors import Actor
from core.errors import DomainError, NotFoundError
from reliability.engine.strikes import State
from reliability.models import Service
from reliability.selectors import states
from reliability.services import catalogue

_ACTOR = Actor.command("services")


class Command(BaseCommand):
    """Add, list and remove services."""

    help = "Add, list and remove services and their HTTP checks."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        add = commands.add_parser("add", help="watch a URL as a new service")
        add.add_argument("url")
        add.add_argument("--name", help="default: the host of the URL")
        add.add_argument("--owner", default="")
        add.add_argument("--tier", choices=Service.Tier.values, default=Service.Tier.STANDARD)
        add.add_argument(
            "--environment",
            choices=Service.Environment.values,
            default=Service.Environment.PRODUCTION,
        )
        add.add_argument("--interval", type=int, metavar="SECONDS")
        add.add_argument("--timeout", type=int, metavar="SECONDS")
        add.add_argument("--retry", type=int, metavar="SECONDS")
        add.add_argument("--strikes", type=int, metavar="COUNT", help="down and up alike")
        add.add_argument("--accept", metavar="STATUSES", help="such as 200-399")
        add.add_argument("--contains", metavar="TEXT", help="text that the answer must contain")
        commands.add_parser("list", help="show every service with its checks")
        remove = commands.add_parser("remove", help="remove a service with its checks")
        remove.add_argument("name")

    def handle(self, *args: object, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        try:
            {"add": self._add, "list": self._list, "remove": self._remove}[options["command"]](
                options
            )
        except DomainError as error:
            details = [
                f"{field}: {text}" for field, texts in error.errors.items() for text in texts
            ]
            raise CommandError("\n".join([error.message, *details])) from error

    def _add(self, options: dict[str, Any]) -> None:
        url = options["url"]
        given = {
            "interval_seconds": options["interval"],
            "timeout_seconds": options["timeout"],
            "retry_interval_seconds": options["retry"],
            "strikes_down": options["strikes"],
            "strikes_up": options["strikes"],
            "accept": options["accept"],
            "body_contains": options["contains"],
        }
        fields: Any = {name: value for name, value in given.items() if value is not None}
        with transaction.atomic():
            service = catalogue.create_service(
                actor=_ACTOR,
                name=options["name"] or _host(url),
                owner=options["owner"],
                tier=options["tier"],
                environment=options["environment"],
                # The query belongs to the check: it may hold a token, and everybody sees a service.
                url=re.split(r"[?#]", url, maxsplit=1)[0],
            )
            check = catalogue.create_check(actor=_ACTOR, service_id=service.pk, url=url, **fields)
        self.stdout.write(f"{service.name} is watched every {check.interval_seconds} s: {url}")

    def _list(self, _options: dict[str, Any]) -> None:
        found = list(states.services())
        if not found:
            self.stdout.write("No service yet. Add one: manage.py services add URL")
        for service in found:
            worst = states.worst_state(service)
            self.stdout.write(f"{worst:<10}  {service.name}  {service.environment}")
            for check in service.checks.all():
                says = check.says
                state = says.state if check.enabled else "off"
                line = f"  {state:<10}{check.interval_seconds:>6} s  {check.url}"
                if state is State.UNKNOWN:
                    line += f"  (since {says.since:%Y-%m-%d %H:%M:%S} UTC)"
                self.stdout.write(line)

    def _remove(self, options: dict[str, Any]) -> None:
        service = Service.objects.filter(name__iexact=options["name"]).first()
        if service is None:
            message = f"There is no service {options['name']!r}."
            raise NotFoundError(message)
        catalogue.delete_service(actor=_ACTOR, service_id=service.pk)
        self.stdout.write(f"{service.name} was removed.")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
