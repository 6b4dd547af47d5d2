"""The environment decides where log lines go, from which level on, and in which shape."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import logging, django
django.setup()
logger = logging.getLogger("some.part")
for level in ("debug", "info", "warning", "error"):
    getattr(logger, level)("a line of %s", level)
logging.getLogger("django.request").warning("Not Found: /x")
logging.getLogger("django.server").error("from the development server")
"""


def run(folder, **variables):
    """Log in a process of its own, and return its stderr and the lines of its file."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "opsplatform.settings",
            "OPS_DATA_DIR": str(folder),
            **variables,
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    log = folder / "logs" / "app.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return done.returncode, done.stderr, [json.loads(line)["message"] for line in lines]


def test_by_default_the_file_has_info_and_the_terminal_warnings(tmp_path):
    status, stderr, lines = run(tmp_path)

    assert status == 0
    assert lines == [
        "a line of info",
        "a line of warning",
        "a line of error",
        "from the development server",
    ]
    assert [json.loads(line)["message"] for line in stderr.splitlines()] == lines[1:]


def test_a_level_may_be_written_in_any_case(tmp_path):
    assert run(tmp_path, LOG_LEVEL="eRRor")[2] == ["a line of error", "from the development server"]


def test_an_unknown_level_refuses_to_start(tmp_path):
    status, stderr, lines = run(tmp_path, LOG_LEVEL="loud")

    assert (status, lines) == (1, [])
    assert "LOG_LEVEL is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL" in stderr


def test_the_terminal_may_show_text(tmp_path):
    stderr = run(tmp_path, LOG_FORMAT="text")[1]

    assert [line.partition("Z ")[2] for line in stderr.splitlines()] == [
        "WARNING  some.part: a line of warning",
        "ERROR    some.part: a line of error",
        "ERROR    django.server: from the development server",
    ]


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_dash_writes_everything_to_the_terminal(tmp_path, style):
    _, stderr, lines = run(tmp_path, LOGS_FILE="-", LOG_FORMAT=style)

    assert lines == []
    assert len(stderr.splitlines()) == 4
    assert not (tmp_path / "logs").exists()


def test_a_file_may_lie_elsewhere(tmp_path):
    run(tmp_path / "data", LOGS_FILE=str(tmp_path / "elsewhere.log"))

    assert len((tmp_path / "elsewhere.log").read_text().splitlines()) == 4
