"""What others wrote is shipped as they released it."""

import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parents[2] / "static" / "vendor"
FOLDERS = sorted(folder for folder in VENDOR.iterdir() if folder.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_has_the_sum_that_its_readme_names(folder):
    told = dict(re.findall(r"\| (\S+) \| `([0-9a-f]{64})` \|", (folder / "README.md").read_text()))
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.name != "README.md"
    }

    assert found == told
    assert "LICENSE" in found
