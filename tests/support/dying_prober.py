"""A prober that dies in the middle of a flip: between the new segment and its alert.

Run as `python -m tests.support.dying_prober <check>`; it kills itself.
"""

import os
import signal
import sys
from datetime import UTC, datetime, timedelta


def main() -> None:
    """Store an outage of the check, as far as the alert."""
    import django

    django.setup()
    from core import leases
    from core.http import Phases
    from reliability.engine.batch import Batch
    from reliability.engine.probe import Failure, Result
    from reliability.engine.strikes import advance
    from reliability.selectors import configuration
    from reliability.services import check_alerts, results
    from reliability.services.probes import LEASE

    def die(**_given: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    check_alerts.went_down = die  # type: ignore[assignment]  # what a kill at this moment does
    leases.release_of_the_dead()
    held = leases.acquire(name=LEASE, seconds=60)
    assert held is not None
    ((target, tracker),) = configuration.watches([int(sys.argv[1])])
    batch = Batch()
    for seconds in (40, 20):
        at = datetime.now(UTC) - timedelta(seconds=seconds)
        result = Result(
            target.check_id, at, ok=False, latency_ms=1, phases=Phases(), failure=Failure.CONNECT
        )
        tracker, shifts = advance(tracker, target.rules, ok=False, at=at)
        batch.note(target, tracker, shifts, result)
    assert batch.flips
    results.store(batch=batch, held=held)


if __name__ == "__main__":
    main()
