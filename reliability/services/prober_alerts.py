"""What the prober tells about itself: it has no network, or it cannot keep up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils import timezone

from audit.services.acts import act
from core.actors import Actor
from reliability.engine.rules import PROBER_LATE, PROBER_OFFLINE
from reliability.services import alerts, liveness

if TYPE_CHECKING:
    from datetime import datetime

_PROBER: Final = Actor.schedule("uptime checks")
KEY: Final = {"prober": "main"}


def offline(*, since: datetime) -> None:
    """Tell once that the platform's own network is gone; nobody is blamed for it meanwhile."""
    with act():
        liveness.offline_began(at=since)
        alerts.fire(
            actor=_PROBER,
            rule=PROBER_OFFLINE,
            key=KEY,
            title="The platform has no network",
            detail="Most checks failed at once and no anchor could be reached. Until that changes, "
            "failing checks say “unknown”. Look at the network of the machine; OPS_PROBE_ANCHORS "
            "lists what is asked.",
            at=since,
            service=None,
        )


def online() -> None:
    """Tell that the network is back, if it was told to be gone."""
    now = timezone.now()
    liveness.offline_ended(at=now)
    with act():
        text = f"Anchors answer again since {now:%Y-%m-%d %H:%M:%S} UTC."
        alerts.resolve(actor=_PROBER, rule=PROBER_OFFLINE, key=KEY, at=now, text=text)


def late(*, worst_seconds: float) -> None:
    """Tell once that checks start too late for their figures to be trusted."""
    with act():
        alerts.fire(
            actor=_PROBER,
            rule=PROBER_LATE,
            key=KEY,
            title="Checks run late",
            detail="In the last minute more than one check in a hundred started late by half its "
            f"interval or more, the worst by {worst_seconds:.0f} s. Give the platform more CPU or "
            "open files, or raise intervals and lower timeouts of what hangs.",
            at=timezone.now(),
            service=None,
        )


def punctual() -> None:
    """Tell that checks start in time again, if it was told that they do not."""
    with act():
        now = timezone.now()
        text = "Checks start in time again."
        alerts.resolve(actor=_PROBER, rule=PROBER_LATE, key=KEY, at=now, text=text)
