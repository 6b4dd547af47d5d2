import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditRecord
from reliability.management.commands import uptime_monitor
from reliability.models import Check, Sample, Service

pytestmark = pytest.mark.django_db


def test_a_url_becomes_a_watched_service(capsys):
    call_command("services", "add", "http://127.0.0.1:9/health", "--interval", "30", "--retry", "5")

    check = Check.objects.get()
    assert (check.service.name, check.interval_seconds) == ("127.0.0.1", 30)
    assert check.retry_interval_seconds == 5
    assert "127.0.0.1 is watched every 30 s" in capsys.readouterr().out
    assert set(AuditRecord.objects.values_list("actor_name", flat=True)) == {"command services"}


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["http://user:secret@example.org/"], "url"),
        (["file:///etc/passwd"], "url"),
        (["http://[bad/"], "url"),
        (["http://127.0.0.1/", "--interval", "0"], "interval_seconds"),
        (["http://127.0.0.1/", "--interval", "10", "--timeout", "11"], "timeout_seconds"),
    ],
)
def test_what_cannot_be_watched_leaves_nothing_behind(args, field):
    with pytest.raises(CommandError, match=field):
        call_command("services", "add", *args)

    assert (Service.objects.count(), AuditRecord.objects.count()) == (0, 0)


def test_a_number_that_is_none_is_refused():
    with pytest.raises(CommandError, match="abc"):
        call_command("services", "add", "http://127.0.0.1/", "--interval", "abc")


def test_the_list_shows_states(make_check, see, capsys):
    see(make_check(), False, False)
    make_check(enabled=False, service=Service.objects.get())

    call_command("services", "list")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["down", "Service", "1", "production"]
    assert [line.split()[0] for line in lines[1:]] == ["down", "off"]


def test_an_empty_catalogue_says_what_to_do(capsys):
    call_command("services", "list")

    assert "services add URL" in capsys.readouterr().out


def test_a_service_is_removed_by_name(make_check):
    make_check()

    call_command("services", "remove", "SERVICE 1")

    assert Service.objects.count() == 0
    with pytest.raises(CommandError, match="no service"):
        call_command("services", "remove", "Service 1")


def test_once_prints_a_table_and_fails_when_something_is_down(make_check, capsys):
    make_check()

    with pytest.raises(SystemExit) as caught:
        call_command("uptime_monitor", "--once")

    assert caught.value.code == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("DOWN  Service 1")
    assert "Connection refused" in out[0]
    assert out[-1] == "0 up, 1 down"
    assert Sample.objects.get().manual


def test_once_without_checks_says_what_to_do(capsys):
    call_command("uptime_monitor", "--once")

    assert "services add URL" in capsys.readouterr().out


def test_without_once_the_loop_runs_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(uptime_monitor, "call_command", lambda *args: calls.append(args))

    call_command("uptime_monitor")

    assert calls == [("daemon", "--only", "reliability.probes")]
