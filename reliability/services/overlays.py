"""What is told of a check beside its state: that it flaps, and that its certificate ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from reliability.engine.flapping import LEAVES, RESULTS
from reliability.engine.rules import CERTIFICATE_EXPIRES, CHECK_FLAPPING
from reliability.services import alerts
from reliability.services.check_alerts import key_of, name_of

if TYPE_CHECKING:
    from datetime import datetime

    from core.actors import Actor
    from reliability.models import Check

_DAY: Final = timedelta(days=1)


def flapping_changed(*, actor: Actor, check: Check, is_flapping: bool, at: datetime) -> None:
    """Tell once that a check flaps, and once that it has settled down."""
    if not is_flapping:
        text = f"Less than {LEAVES:.0%} of its last {RESULTS} results were changes."
        what = "has settled down"
        alerts.resolve(
            actor=actor, rule=CHECK_FLAPPING, key=key_of(check), at=at, text=text, what=what
        )
        return
    alerts.fire(
        actor=actor,
        rule=CHECK_FLAPPING,
        key=key_of(check),
        title=f"{name_of(check)} is flapping",
        detail=f"It goes up and down: most of its last {RESULTS} results differed from the one "
        "before. Until it settles, nobody is told of each turn.",
        at=at,
        service=check.service,
        check=check,
    )


def certificate_changed(
    *, actor: Actor, check: Check, not_after: datetime | None, ends_soon: bool, at: datetime
) -> None:
    """Tell once that the certificate of a check ends soon, and once that it was renewed."""
    if not ends_soon or not_after is None:
        text = (
            f"The certificate is valid until {not_after:%Y-%m-%d %H:%M} UTC."
            if not_after is not None
            else "The check shows no certificate any more."
        )
        what = "has a certificate that lasts"
        alerts.resolve(
            actor=actor, rule=CERTIFICATE_EXPIRES, key=key_of(check), at=at, text=text, what=what
        )
        return
    left = not_after - at
    alerts.fire(
        actor=actor,
        rule=CERTIFICATE_EXPIRES,
        key=key_of(check),
        title=f"The certificate of {name_of(check)} "
        + ("has ended" if left < timedelta() else f"ends in {left // _DAY} days"),
        detail=f"It is valid until {not_after:%Y-%m-%d %H:%M} UTC; the check asks for "
        f"{check.tls_min_days} days. Renew it on the server.",
        at=at,
        service=check.service,
        check=check,
    )


def ends_soon(*, not_after: datetime | None, min_days: int, at: datetime) -> bool:
    """Tell whether a certificate ends within these days; 0 days means that nobody asks."""
    return bool(min_days) and not_after is not None and not_after - at < min_days * _DAY
