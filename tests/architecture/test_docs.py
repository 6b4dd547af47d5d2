"""Pages that come from code are in step with it; every command has a test."""

from pathlib import Path

import pytest
from django.core.management import call_command, get_commands
from django.db import connection

from accounts.roles import PURPOSE, ROLES, SIGNS_IN_TO_CONSOLE

ROOT = Path(__file__).resolve().parents[2]
OURS = {"accounts", "audit", "core", "notifications", "observability", "opsplatform", "reliability"}


@pytest.mark.django_db
def test_reference_pages_are_in_step():
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's integers have other bounds in OpenAPI; SQLite's are written.")
    call_command("write_docs", check=True)


def test_every_command_has_a_test():
    commands = {name for name, app in get_commands().items() if app in OURS}
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    assert {name for name in commands if f'"{name}"' not in tests} == set()


def test_every_role_has_a_purpose():
    assert set(PURPOSE) == set(ROLES)
    assert set(ROLES) >= SIGNS_IN_TO_CONSOLE


def test_no_page_names_a_missing_file():
    import re

    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken += [f"{page.relative_to(ROOT)} -> {target}"]
    assert broken == []
