"""What the keyring cannot open concerns the checks it belongs to, and nobody else."""

import pytest
from django.core.management import call_command

from reliability.models import Check, Incident
from reliability.selectors import configuration
from reliability.services import catalogue, incidents, results
from reliability.services.self_check import ensure_self_check
from tests.support.keyrings import SPOILED, spoil

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealed(make_check):
    return make_check(headers={"X-Key": "1"})


@SPOILED
def test_other_checks_are_read_in_their_order(make_check, sealed, settings, tmp_path, caplog, how):
    plain = [make_check(), make_check()]
    spoil(settings, tmp_path / "ring", how)

    watched = configuration.watches([sealed.pk, *(check.pk for check in plain)])

    assert [target.check_id for target, _ in watched] == [check.pk for check in plain]
    assert [target.check_id for target in configuration.targets()] == [check.pk for check in plain]
    assert caplog.records[0].checks == [sealed.pk]
    assert "The headers of 1 checks do not unseal" in caplog.text


@SPOILED
def test_an_outage_becomes_an_incident_and_is_worked_on(
    sealed, held, observe, operator, settings, tmp_path, how
):
    batch = observe(sealed, False, False)
    spoil(settings, tmp_path / "ring", how)

    assert results.store(batch=batch, held=held) == set()

    incident = Incident.objects.get()
    incidents.acknowledge(actor=operator, incident_id=incident.pk)
    incidents.add_note(actor=operator, incident_id=incident.pk, text="called")
    incidents.resolve(actor=operator, incident_id=incident.pk, reason="moved")
    incident.refresh_from_db()
    assert incident.state == "resolved"


@SPOILED
def test_lists_and_pages_are_shown(sealed, see, api, console, make_user, settings, tmp_path, how):
    see(sealed, False, False)
    user = make_user(role="admin")
    api.force_authenticate(user)
    spoil(settings, tmp_path / "ring", how)

    paths = [f"/api/{path}/" for path in ("services", "checks", "incidents", "ops/uptime")]
    pages = [
        f"/admin/reliability/{page}/"
        for page in (
            "check",
            "service",
            f"check/{sealed.pk}/change",
            f"service/{sealed.service_id}/change",
            f"service/{sealed.service_id}/delete",
            f"incident/{Incident.objects.get().pk}/change",
        )
    ]
    assert [api.get(path).status_code for path in paths] == [200] * len(paths)
    assert [console(user).get(page).status_code for page in pages] == [200] * len(pages)


@SPOILED
def test_the_platforms_own_check_follows_its_address(operator, settings, tmp_path, how):
    settings.BASE_URL = "http://127.0.0.1:9"
    ensure_self_check()
    check = Check.objects.get()
    catalogue.update_check(actor=operator, check_id=check.pk, headers={"X-Key": "1"})
    spoil(settings, tmp_path / "ring", how)
    settings.BASE_URL = "http://127.0.0.1:10"

    ensure_self_check()

    assert Check.objects.defer("headers").get().url == "http://127.0.0.1:10/healthz"


def test_a_look_at_every_check_fails_when_some_cannot_be_run(sealed, settings, tmp_path, capsys):
    spoil(settings, tmp_path / "ring", "exposed")

    with pytest.raises(SystemExit) as caught:
        call_command("uptime_monitor", "--once")

    assert caught.value.code == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == ["0 up, 0 down"]
    assert told.err.splitlines() == ["1 could not be run; the log tells why."]


@SPOILED
def test_what_cannot_be_asked_is_counted(make_check, sealed, settings, tmp_path, how):
    make_check()
    make_check(headers={"X-Key": "2"}, enabled=False)
    assert configuration.unreadable() == 0

    spoil(settings, tmp_path / "ring", how)

    assert configuration.unreadable() == 1


@SPOILED
def test_pages_open_without_the_keyring(sealed, settings, tmp_path, console, make_user, how):
    client = console(make_user(role="admin"))
    spoil(settings, tmp_path / "ring", how)

    for path in (f"check/{sealed.pk}/", f"service/{sealed.service_id}/", "service/", "check/"):
        assert client.get(f"/admin/reliability/{path}").status_code == 200
    assert b"The headers of 1 check do not unseal" in client.get("/admin/").content
