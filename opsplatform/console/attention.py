"""What needs a person: problems with their fixes, things to look at, and first steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.urls import reverse

from accounts.models import User
from core.adminlists import told_count
from core.components import Tone
from notifications.models import Channel
from observability.engine.findings import State
from observability.health import readiness
from opsplatform.console import telling
from opsplatform.console.things import Problem, Step, Thing
from reliability.models import PlatformCheck, Service
from reliability.selectors import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_COUNTED: Final = 1000
_FIXES: Final = {
    "database": "See whether the database runs and DATABASE_URL is right; the log has the error.",
    "migrations": "Run manage.py migrate, or start by manage.py up, which does.",
    "disk": "Make room where OPS_DATA_DIR lies, or move it to a larger disk.",
    "broker": "Jobs wait in the database until it is back. See REDIS_URL and the log.",
    "worker": "Requested work waits. manage.py up starts a worker; alone it is manage.py worker.",
    "daemon": "Nothing is checked and nobody is told. manage.py up starts it; alone it is "
    "manage.py daemon.",
    "beat": "Periodic jobs do not start. manage.py up starts it; alone it is manage.py beat.",
}


DRILL: Final = Problem(
    Tone.INFO,
    "This is a copy for a drill",
    "It asks and sends nothing. What it shows is as old as the backup it came from.",
)


def health() -> list[Problem]:
    """Return what readiness found wrong, each with its fix."""
    return [
        Problem(
            Tone.BAD if finding.state is State.DOWN else Tone.WARN,
            f"{name.capitalize()}: {finding.reason}",
            _FIXES.get(name, ""),
        )
        for name, finding in readiness.check.current().findings.items()
        if finding.state is not State.OK
    ]


def _unwatched() -> Iterator[Thing]:
    bare = Service.objects.exclude(checks__enabled=True)
    if count := bare[:_MOST_COUNTED].count():
        page = reverse("admin:reliability_service_changelist") + "?watched=no"
        verb = "has" if count == 1 else "have"
        text = f"{_told(count)} service{_s(count)} {verb} no check that is on"
        yield Thing(Tone.UNKNOWN, "unwatched", text, page)


def _sealed() -> Iterator[Thing]:
    if count := configuration.unreadable():
        page = reverse("admin:reliability_check_changelist")
        text = f"The headers of {count:,} check{_s(count)} do not unseal: not watched"
        yield Thing(Tone.BAD, "sealed", text, page, "Restore the keyring, or set them again.")


_LOOKS: Final[tuple[tuple[str, Callable[[], Iterator[Thing]]], ...]] = (
    *telling.LOOKS,
    ("reliability.view_service", _unwatched),
    ("reliability.view_check", _sealed),
)
"""Where to look, and who may."""


def things(user: User) -> list[Thing] | None:
    """Return what needs attention, as far as this person may see it; None if that is nowhere."""
    looks = [look for permission, look in _LOOKS if user.has_perm(permission)]
    return [thing for look in looks for thing in look()] if looks else None


def first_steps(user: User) -> list[Step]:
    """Return what a new platform needs, as far as this person may do it."""
    found: list[Step] = []
    heard = Channel.objects.filter(enabled=True)
    if user.has_perm("reliability.add_service"):
        own = PlatformCheck.objects.exclude(check_made=None).values("check_made__service")
        found.append(
            Step(
                "Add a service",
                "With the URL of a check, it is watched within seconds.",
                reverse("admin:reliability_service_add"),
                "Add a service",
                Service.objects.exclude(pk__in=own).exists(),
            )
        )
    if user.has_perm("notifications.add_channel"):
        found.append(
            Step(
                "Say who is told",
                "A channel takes alerts to people: e-mail, or a signed webhook.",
                reverse("admin:notifications_channel_add"),
                "Add a channel",
                heard.exists(),
            )
        )
    if user.has_perms(["notifications.view_channel", "notifications.test_channel"]):
        found.append(
            Step(
                "Send a test",
                "Before an alert does, see that the channel arrives.",
                reverse("admin:notifications_channel_changelist"),
                "Open channels",
                heard.exclude(last_ok_at=None).exists(),
            )
        )
    if user.has_perm("accounts.add_user"):
        admins = User.objects.filter(Q(groups__name="admin") | Q(is_superuser=True), is_active=True)
        found.append(
            Step(
                "Name a second admin",
                "One person can be away, or locked out.",
                reverse("admin:accounts_user_add"),
                "Add a person",
                admins.distinct()[:2].count() > 1,
            )
        )
    return found


def _told(count: int) -> str:
    return told_count(count, _MOST_COUNTED)


def _s(count: int) -> str:
    return "" if count == 1 else "s"
