"""Commands of the composition root that need no running platform."""

import io

import pytest
from django.core.management import CommandError, call_command

from opsplatform import reference


def _run(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_the_list_of_variables_tells_no_value(monkeypatch, settings):
    monkeypatch.setenv("EMAIL_HOST_PASSWORD", "hunter2")
    told = _run("env")
    line = next(line for line in told.splitlines() if "EMAIL_HOST_PASSWORD" in line)
    assert line.split()[:2] == ["EMAIL_HOST_PASSWORD", "set"]
    assert "hunter2" not in told


@pytest.mark.django_db
def test_a_page_out_of_step_is_named(tmp_path, settings):
    (tmp_path / "docs").mkdir()
    settings.BASE_DIR = tmp_path
    _run("write_docs")
    assert _run("write_docs", check=True) == ""
    page = tmp_path / "docs" / "roles.md"
    page.write_text(page.read_text() + "by hand\n")
    with pytest.raises(CommandError, match=r"docs/roles\.md\. Run: make docs"):
        _run("write_docs", check=True)
    assert page.read_text().endswith("by hand\n")


def test_every_variable_has_a_row():
    page = reference.configuration()
    for name in ("DATABASE_URL", "REDIS_URL", "OPS_PORT", "ROLES_JSON", "LOG_LEVEL", "EMAIL_HOST"):
        assert f"| `{name}` |" in page


@pytest.mark.parametrize("command", ["web", "worker", "beat", "daemon", "up"])
def test_each_process_says_what_it_does(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert "until SIGTERM" in capsys.readouterr().out or command == "up"


def test_an_unknown_loop_is_refused():
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("daemon", "--only", "nothing")
