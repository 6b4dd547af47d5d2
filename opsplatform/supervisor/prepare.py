"""What happens before the processes start: checks, migrations, schedule, first admin."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection

from accounts.services.first_admin import create_first_admin
from accounts.services.installations import claim
from core.actors import SYSTEM
from core.errors import DomainError
from notifications.services.environment import sync_environment_channels
from reliability.services.self_check import ensure_self_check

if TYPE_CHECKING:
    from collections.abc import Iterator

# Any number that no other program uses on this database.
_LOCK_KEY: Final = 7_306_518_241


class FirstAdmin(TypedDict):
    """What the operator is told once, at the first start."""

    username: str
    password: str


def prepare(*, adopt_keyring: bool = False) -> FirstAdmin | None:
    """Bring database and schedule in step with the code; safe to run again.

    Returns the first admin if a password is to be told. Exits with a message when it cannot.
    """
    try:
        with _alone():
            return _prepare(adopt_keyring=adopt_keyring)
    except (CommandError, SystemCheckError, DomainError) as error:
        sys.exit(f"OpsPlatform cannot start.\n{error}")
    except DatabaseError as error:
        place = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
        sys.exit(f"OpsPlatform cannot start: the database ({place}) refuses.\n{error}")


def _prepare(*, adopt_keyring: bool) -> FirstAdmin | None:
    call_command("check", fail_level="ERROR", stdout=_Nowhere())
    call_command("migrate", interactive=False, verbosity=0)
    claim(actor=SYSTEM, adopt=adopt_keyring)
    call_command("sync_periodic_jobs", stdout=_Nowhere())
    sync_environment_channels()
    ensure_self_check()
    return _first_admin()


@contextmanager
def _alone() -> Iterator[None]:
    """Have one machine prepare at a time, and let migrations take as long as they need.

    On SQLite the supervisor's lock on the data folder does the same.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_KEY])


def _first_admin() -> FirstAdmin | None:
    if settings.OPS_ADMIN_PASSWORD_FILE and not Path(settings.OPS_ADMIN_PASSWORD_FILE).exists():
        call_command(
            "create_first_admin",
            password_file=settings.OPS_ADMIN_PASSWORD_FILE,
            stdout=_Nowhere(),
        )
        return None
    made = create_first_admin(actor=SYSTEM)
    return FirstAdmin(username=made[0].username, password=made[1]) if made else None


class _Nowhere:
    def write(self, _text: str) -> None:
        """Say nothing."""

    def flush(self) -> None:
        """Say nothing."""
