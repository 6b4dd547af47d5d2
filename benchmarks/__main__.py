"""Run the benchmarks: `python -m benchmarks [--write] [NAME ...]`.

Each other module of this package, but for the table, is a benchmark: its function `run` returns
rows. Data lies in a folder of its own, which is removed afterwards.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import benchmarks
from benchmarks.table import Row, markdown

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_INTRODUCTION = """\
# Performance

Measured by `{command}` on {day}, {machine}. A ratio above 1 is better than the limit or peer
beside it. CPU is that of our process, for one request or line.

"""


def main() -> int:
    """Run what was asked for; return 1 if a figure misses its limit."""
    found = _names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=[[], *found], metavar="NAME")
    parser.add_argument("--write", action="store_true", help=f"write docs/{_PAGE.name}")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ops-bench-") as folder:
        os.environ["OPS_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsplatform.settings")
        sections = {name: _rows(name) for name in asked.names or found}
    report = "\n\n".join(f"## {name}\n\n{markdown(rows)}" for name, rows in sections.items())
    print(report)
    if asked.write:
        command = (
            "make bench" if not asked.names else f"python -m benchmarks {' '.join(asked.names)}"
        )
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        page = _INTRODUCTION.format(command=command, day=day, machine=_machine())
        _PAGE.write_text(f"{page}{report}\n", encoding="utf-8")
    missed = [row for rows in sections.values() for row in rows if row.ratio < 1]
    for row in missed:
        print(f"Behind {row.against}: {row.what}", file=sys.stderr)
    return 1 if any(row.against.startswith("limit") for row in missed) else 0


def _names() -> list[str]:
    return sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if not module.ispkg and module.name not in {"__main__", "table"}
    )


def _rows(name: str) -> list[Row]:
    print(f"Measuring {name}.", file=sys.stderr)
    return list(importlib.import_module(f"benchmarks.{name}").run())


def _machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
