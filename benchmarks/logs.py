"""CPU time of a log line."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.table import Row
from core import tracing
from core.logs import FileHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINES = 20_000
_ROUNDS = 5
_LIMIT_US = 15.0


class _PlainJSON(logging.Formatter):
    """JSON by the standard library, without masking: the least that others do."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        return json.dumps(
            {
                "ts": self.formatTime(record),
                "level": record.levelname,
                "module": record.name,
                "message": record.getMessage(),
            }
        )


def run() -> Iterator[Row]:
    """Measure lines with and without context and secrets."""
    # As in the settings: no line shows these.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001
    with (
        TemporaryDirectory() as folder,
        tracing.bind(request_id="a" * 32, trace_id="b" * 32, user="ann"),
    ):
        ours = FileHandler(Path(folder) / "app.log", max_bytes=1 << 40)
        theirs = logging.FileHandler(Path(folder) / "plain.log")
        theirs.setFormatter(_PlainJSON())
        logger = logging.Logger("benchmark", logging.INFO)  # noqa: LOG001
        limit = f"limit {_LIMIT_US:g} µs"

        logger.addHandler(ours)
        message = _cpu_us(lambda: logger.info("Probe of %s took %d ms", "shop", 12))
        context = {"method": "GET", "path": "/api/services/", "status": 200, "ms": 12.3}
        request = _cpu_us(lambda: logger.info("GET /api/services/ 200", extra=context))
        secret = _cpu_us(lambda: logger.info("user=%s password=%s", "ann", "hunter2"))
        logger.removeHandler(ours)
        logger.addHandler(theirs)
        plain = _cpu_us(lambda: logger.info("Probe of %s took %d ms", "shop", 12))
        theirs.close()
    yield Row("line with a message, CPU", message, "µs", limit, _LIMIT_US)
    yield Row("line with a message, CPU", message, "µs", "stdlib json, no masking", plain)
    yield Row("line of a request, CPU", request, "µs", limit, _LIMIT_US)
    yield Row("line with a password masked, CPU", secret, "µs", limit, _LIMIT_US)


def _cpu_us(write: Callable[[], None]) -> float:
    """Return the CPU time of a line in microseconds, of the best of some rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_LINES):
            write()
        best = min(best, time.process_time() - began)
    return best / _LINES * 1e6
