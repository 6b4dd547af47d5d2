"""Ask whether a worker and the daemon live."""

from datetime import timedelta
from typing import Final

from core.models import Process
from observability.engine.findings import OK, Finding, degraded, down
from observability.selectors import failing_loops, silence_of

_LONGEST_SILENCE: Final = timedelta(seconds=30)


def probe_worker() -> Finding:
    """Look for a worker that reported lately."""
    return judge_silence(Process.Kind.WORKER, _LONGEST_SILENCE)


def probe_daemon() -> Finding:
    """Look for a daemon that reported lately, and for loops that fail in it."""
    found = judge_silence(Process.Kind.DAEMON, _LONGEST_SILENCE)
    if found == OK and (loops := failing_loops()):
        return degraded(f"failing: {', '.join(loops)}")
    return found


def judge_silence(kind: Process.Kind, longest: timedelta) -> Finding:
    """Judge processes of a kind by the one that reported last."""
    silence = silence_of(kind)
    if silence is None:
        return down("none is running")
    if silence > longest:
        return down(f"no sign of life for over {longest.seconds} s")
    return OK
