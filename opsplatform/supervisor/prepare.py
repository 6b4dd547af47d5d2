"""What happens before the processes start: checks, migrations, schedule, first admin."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError

from accounts.services.first_admin import create_first_admin
from core.actors import SYSTEM
from notifications.services.environment import sync_environment_channels
from reliability.services.self_check import ensure_self_check


class FirstAdmin(TypedDict):
    """What the operator is told once, at the first start."""

    username: str
    password: str


def prepare(answer: int) -> None:
    """Bring database and schedule in step with the code; write the first admin to `answer`.

    Runs in a process of its own, so that the supervisor never holds a database connection.
    """
    try:
        call_command("check", fail_level="ERROR", stdout=_Nowhere())
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            call_command("collectstatic", interactive=False, verbosity=0)
        call_command("migrate", interactive=False, verbosity=0)
        call_command("sync_periodic_jobs", stdout=_Nowhere())
        sync_environment_channels()
        ensure_self_check()
        admin = _first_admin()
    except (CommandError, SystemCheckError) as error:
        sys.exit(f"OpsPlatform cannot start.\n{error}")
    except DatabaseError as error:
        place = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
        sys.exit(f"OpsPlatform cannot start: the database ({place}) refuses.\n{error}")
    if admin is not None:
        os.write(answer, json.dumps(admin).encode())


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
