"""Peers in an environment of their own, so that the platform never depends on them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent


class PeersAwayError(Exception):
    """The peers could not be installed; the message says why."""


def measure(name: str) -> dict[str, float]:
    """Install what `requirements-<name>.txt` pins, run `measure_<name>.py`, return its figures.

    The environment lies in the folder for temporary files and is used again while it fits.
    """
    wanted = _HERE / f"requirements-{name}.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"ops-peers-{os.getuid()}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = [sys.executable, "-m", "uv"]
        _run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)])
        _run([*uv, "pip", "install", "-q", "--python", str(python), "-r", str(wanted)])
        (folder / "complete").touch()
    with tempfile.TemporaryDirectory(prefix="ops-bench-peers-") as place:
        told = _run([str(python), str(_HERE / f"measure_{name}.py"), place])
    figures: dict[str, float] = json.loads(told)
    return figures


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeersAwayError(done.stderr.strip()[-2_000:])
    return done.stdout
