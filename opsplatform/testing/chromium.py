"""Find the Chromium that the browser tests drive; with `--install`, get Debian's if there is none.

`python -m opsplatform.testing.chromium --install` ends with 0 if there is a browser, else with 3
after saying what to do.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES: Final = ("chromium", "fonts-liberation")
NO_BROWSER: Final = 3

_DOWNLOADED: Final = "chromium-*/chrome-linux*/chrome"
_UPDATE_SECONDS: Final = 180
_INSTALL_SECONDS: Final = 600


class NoBrowserError(Exception):
    """There is no Chromium; says why none could be installed."""


def find() -> str | None:
    """Return a Chromium: OPS_CHROMIUM, else one in PATH, else one that Playwright downloaded."""
    if given := os.environ.get("OPS_CHROMIUM"):
        return shutil.which(given)
    for name in NAMES:
        if found := shutil.which(name):
            return found
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    downloaded = sorted(glob.glob(str(Path(folder) / _DOWNLOADED)))  # noqa: PTH207  # two stars
    return downloaded[-1] if downloaded else None


def install() -> str:
    """Return the Chromium of the distribution, installed now; raises NoBrowserError."""
    if given := os.environ.get("OPS_CHROMIUM"):
        message = f"OPS_CHROMIUM names {given}, which is no program"
        raise NoBrowserError(message)
    apt = shutil.which("apt-get")
    if apt is None:
        message = "no Chromium is installed, and there is no apt-get"
        raise NoBrowserError(message)
    if os.geteuid() != 0:
        message = "no Chromium is installed, and only root may install one"
        raise NoBrowserError(message)
    print(f"Installing {' and '.join(PACKAGES)} (once) ...", flush=True)  # noqa: T201  # it takes a while
    # An old list of packages names files that the mirrors no longer have.
    _run([apt, "update", "-qq"], _UPDATE_SECONDS)
    _run([apt, "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], _INSTALL_SECONDS)
    found = find()
    if found is None:
        message = "apt-get installed no program of a known name"
        raise NoBrowserError(message)
    return found


def _run(command: list[str], seconds: int) -> None:
    try:
        subprocess.run(  # noqa: S603  # fixed arguments
            command,
            check=True,
            timeout=seconds,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stdout", None) or b""
        told = output.decode(errors="replace").strip().splitlines()
        message = f"{Path(command[0]).name} {command[1]} failed: {told[-1] if told else error}"
        raise NoBrowserError(message) from error


def main(arguments: list[str]) -> int:
    """Say whether the browser tests can run, and if not, how they could."""
    if find() is not None:
        return 0
    why = "no Chromium is installed"
    try:
        if "--install" in arguments:
            install()
            return 0
    except NoBrowserError as error:
        why = str(error)
    fix = "apt-get install chromium, or name one: OPS_CHROMIUM=/path/to/chromium make browser"
    print(f"Browser: NOT TESTED, for {why}. Fix: {fix}")  # noqa: T201  # a program's output
    return NO_BROWSER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
