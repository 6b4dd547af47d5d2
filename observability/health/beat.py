"""Ask whether the clock of the periodic jobs ticks."""

from datetime import timedelta
from typing import Final

from core.models import Process
from observability.engine.findings import Finding
from observability.health.workers import judge_silence

# Longer than a worker's: beat may stand by for a minute while another one's lease runs out.
_LONGEST_SILENCE: Final = timedelta(seconds=90)


def probe() -> Finding:
    """Look for a beat that reported lately."""
    return judge_silence(Process.Kind.BEAT, _LONGEST_SILENCE)
