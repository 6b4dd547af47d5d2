"""Ask whether the audit log is sealed in time, and sound."""

from typing import Final

from audit.selectors import chain, guards
from observability.engine.findings import OK, Finding, degraded

_LONGEST_LAG_SECONDS: Final = 60


def probe() -> Finding:
    """Look at the seal, the triggers and the last verification; none of it stops the platform."""
    if guards.missing():
        return degraded("triggers of the audit log are missing")
    last = chain.last_verification()
    if last is not None and last.findings:
        return degraded("the audit log is damaged")
    if chain.seal_lag_seconds() > _LONGEST_LAG_SECONDS:
        return degraded("audit records wait for their seal")
    return OK
