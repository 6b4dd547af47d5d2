"""Keyrings that do not open what was sealed before."""

import shutil

import pytest

from core.keyring import Keyring

SPOILED = pytest.mark.parametrize("how", ["missing", "exposed", "another"])


def spoil(settings, folder, how):
    """Continue as a process that finds the file of the sealing key missing, exposed or replaced."""
    shutil.copytree(settings.KEYRING.folder, folder)
    file = folder / "FIELD_KEY.json"
    if how == "exposed":
        file.chmod(0o644)
    else:
        file.unlink()
    if how == "another":
        Keyring(folder).ensure("FIELD_KEY")
    settings.KEYRING = Keyring(folder)
