"""Ask whether there is room where the platform keeps its data."""

import os
import shutil
from pathlib import Path
from typing import Final

from django.conf import settings

from observability.engine.findings import OK, Finding, degraded, down

_NEEDED_BYTES: Final = 64 * 1024**2
_WISHED_BYTES: Final = 1024**3
_WISHED_SHARE: Final = 0.05


def probe() -> Finding:
    """Look at the file system of the data directory."""
    folder = Path(settings.OPS_DATA_DIR)
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return down("the data directory cannot be read")
    if not os.access(folder, os.W_OK):
        return down("the data directory cannot be written")
    return judge(usage.total, usage.free)


def judge(total_bytes: int, free_bytes: int) -> Finding:
    """Judge the free room: too little for the next write, or for the next days."""
    if free_bytes < _NEEDED_BYTES:
        return down("the disk is full")
    if free_bytes < min(_WISHED_BYTES, total_bytes * _WISHED_SHARE):
        return degraded("the disk is nearly full")
    return OK
