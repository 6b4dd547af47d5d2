"""End what a prober told of itself that no longer runs: nobody else would."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils import timezone

from audit.services.acts import act
from core import leases
from core.actors import Actor
from reliability.engine.rules import PROBER_LATE, PROBER_OFFLINE, fingerprint
from reliability.models import Alert, Blackout
from reliability.services import alerts, liveness
from reliability.services.prober_alerts import KEY
from reliability.services.probes import LEASE

ACTOR: Final = Actor.schedule("sweep")
PATIENCE: Final = timedelta(minutes=3)
"""For so long a prober may be away: what follows it takes over what it told."""

_RULES: Final = (PROBER_OFFLINE, PROBER_LATE)


def end() -> bool:
    """End the time without network and the alerts of a prober that is gone; False if none is.

    While it is open, no job outside is judged. Whether there is a network nobody knows without a
    prober: reports that arrive say so themselves.
    """
    is_offline = Blackout.objects.filter(kind=Blackout.Kind.OFFLINE, ended_at=None).exists()
    told = Alert.objects.filter(
        fingerprint__in=[fingerprint(rule, KEY) for rule in _RULES]
    ).exclude(state=Alert.State.RESOLVED)
    if not (is_offline or told.exists()) or leases.was_held(name=LEASE, within=PATIENCE):
        return False
    now = timezone.now()
    liveness.offline_ended(at=now)
    with act():
        for rule in _RULES:
            text = "The prober that told it no longer runs."
            alerts.resolve(actor=ACTOR, rule=rule, key=KEY, at=now, text=text)
    return True
