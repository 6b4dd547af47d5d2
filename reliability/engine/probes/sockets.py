"""Run a question that is no HTTP within its time, and put into words what went wrong."""

import asyncio
import errno
import ssl
from collections.abc import Awaitable, Callable

from core.http import Phases, text_of
from core.http_timing import Stopwatch
from core.resolver import LookUpError
from core.targets import RefusedTargetError
from reliability.engine.probes.base import Failure, Finding


async def timed(question: Callable[[Stopwatch], Awaitable[Finding]], *, seconds: float) -> Finding:
    """Ask within a time; whatever happens on the way is a finding, not an error."""
    watch = Stopwatch()
    try:
        async with asyncio.timeout(seconds):
            return await question(watch)
    except TimeoutError:
        return _failed(watch, Failure.TIMEOUT, f"No answer within {seconds:g} s.")
    except RefusedTargetError as error:
        return Finding(Phases(), Failure.REFUSED, error.message)
    except LookUpError as error:
        watch.lap("dns")
        return _failed(watch, Failure.DNS, f"{error.strerror}.", is_definite=error.is_missing)
    except ssl.SSLError as error:
        return _failed(watch, Failure.TLS, text_of(error))
    except (OSError, RuntimeError) as error:
        # uvloop tells some broken connections by a RuntimeError.
        refused = isinstance(error, OSError) and error.errno == errno.ECONNREFUSED
        return _failed(watch, Failure.CONNECT, text_of(error), is_definite=refused)


def _failed(
    watch: Stopwatch, failure: Failure, detail: str, *, is_definite: bool = False
) -> Finding:
    return Finding(watch.phases(), failure, detail, is_definite=is_definite)
