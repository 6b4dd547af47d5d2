"""Apprise: the real library in a process of its own, against a real server of Gotify."""

import json
import os
import subprocess
import sys

import pytest

from core.errors import InvalidInputError
from notifications.engine import apprise
from notifications.engine.base import Verdict
from notifications.engine.errands import Errand
from notifications.models import Channel
from notifications.services import apprising
from tests.notifications.providers import GotifyServer, Said
from tests.notifications.sending import made, message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def gotify(make_provider):
    return make_provider(GotifyServer)


@pytest.fixture
def channel(gotify):
    url = f"gotify://127.0.0.1:{gotify.port}/{gotify.token}"
    return made("apprise", {"url": url}, timeout_seconds=30)


def test_service_behind_the_library_gets_the_message(gotify, channel):
    outcome = send(channel)

    assert (outcome.verdict, outcome.provider_ref) == (Verdict.DELIVERED, "accepted")
    assert gotify.last.body["title"] == "[CRITICAL] shop is down"
    assert "HTTP 500 for 3 minutes" in gotify.last.body["message"]
    assert "Incident: https://ops.example.com/i/1?a=1&b=2" in gotify.last.body["message"]


def test_failure_is_told_in_its_own_words_without_the_token(gotify, channel):
    gotify.prepared = [Said(500, "no")]

    outcome = send(channel)

    assert (outcome.verdict, outcome.error_class) == (Verdict.RETRY, "apprise")
    assert outcome.detail.startswith("Apprise could not deliver it: ")
    assert gotify.token not in repr(outcome)


def test_address_that_is_not_public_is_refused_inside_the_process(gotify, channel, settings):
    settings.OPS_OUTGOING_ALLOW = ()

    outcome = send(channel)

    assert (outcome.verdict, outcome.local) == (Verdict.REFUSED, True)
    assert "OPS_OUTGOING_ALLOW" in outcome.detail
    assert gotify.asked == []


def test_process_knows_nothing_of_our_environment(channel, monkeypatch, tmp_path):
    seen = tmp_path / "seen"
    program = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"
    monkeypatch.setenv("DATABASE_URL", "postgres://ops:s3cret@db/ops")
    monkeypatch.setattr(apprise, "command", lambda: [sys.executable, "-I", "-c", program])

    outcome = send(channel)

    assert outcome.error_class == "apprise_ended"
    assert "s3cret" not in seen.read_text()
    assert os.environ["DATABASE_URL"].endswith("/ops")


def test_process_that_hangs_is_ended(channel, monkeypatch):
    program = "import time; time.sleep(600)"
    monkeypatch.setattr(apprise, "command", lambda: [sys.executable, "-I", "-c", program])
    channel.timeout_seconds = 1

    outcome = send(channel)

    assert (outcome.verdict, outcome.error_class, outcome.uncertain) == (
        Verdict.RETRY,
        "timeout",
        True,
    )


def test_library_that_is_missing_is_named_with_the_remedy():
    outcome = apprise.classify(b'{"result": "missing"}', 0, secrets=())

    assert (outcome.verdict, outcome.detail) == (
        Verdict.REFUSED,
        "Apprise is not installed; run: pip install -r requirements-apprise.txt",
    )


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/passwd')",
        "open('/tmp/x', 'w')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import socket; socket.socket(socket.AF_UNIX).connect('/run/x')",
        "import socket; socket.create_connection(('169.254.169.254', 80), 1)",
    ],
)
def test_guard_inside_refuses_files_processes_and_private_places(attempt):
    program = (
        "import importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location('runner', {str(apprise.RUNNER)!r})\n"
        "runner = u.module_from_spec(spec); spec.loader.exec_module(runner)\n"
        "import socket, subprocess\n"
        "runner.guard([])\n"
        f"try:\n    {attempt.replace('; ', chr(10) + '    ')}\n"
        "except PermissionError as error:\n    print(type(error).__name__)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program],
        env=apprising.ENVIRONMENT,
        capture_output=True,
        check=False,
    )

    assert ended.stdout.decode().strip() == "GuardError", ended.stderr.decode()


def test_every_schema_of_the_list_is_one_of_the_library():
    program = (
        "import apprise, json; print(json.dumps([name for entry in "
        "apprise.Apprise().details()['schemas'] for name in "
        "(*(entry['protocols'] or ()), *(entry['secure_protocols'] or ()))]))"
    )
    # In a process of its own, as always: the library must not be loaded into ours.
    listed = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=True
    ).stdout
    known = set(json.loads(listed))

    assert apprise.SCHEMAS - known == set()
    assert not apprise.SCHEMAS & {"syslog", "dbus", "file", "mailto", "json", "mqtt", "irc"}


def test_text_is_cut():
    errand = Errand(message=message(body="x" * 9_000), key="k", config={"url": "gotify://h/t"})

    assert len(apprise.job(errand, allow=[])) < 5_000


@pytest.mark.parametrize(
    ("text", "calm"),
    [
        ("@channel", "@\u200bchannel"),
        ("<!channel> @all", "<\u200b!channel> @\u200ball"),
        ("(@here) <users/all>", "(@\u200bhere) <\u200busers/all>"),
        ("ann@example.com has 3 < 4", "ann@example.com has 3 < 4"),
    ],
)
def test_alert_calls_nobody(text, calm):
    errand = Errand(
        message=message(title=text, body=text), key="k", config={"url": "mmost://h/0123456789"}
    )

    told = json.loads(apprise.job(errand, allow=[]))

    assert told["title"] == f"[CRITICAL] {calm}"
    assert told["body"].startswith(f"{calm}\n")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("?verify=no", "Certificates are always verified; remove verify= from the URL."),
        ("#room?a=1&Verify=0", "Certificates are always verified; remove verify= from the URL."),
        ("?%76erify=%6eo", "Certificates are always verified; remove verify= from the URL."),
        ("?a=1;store=no", "OpsPlatform decides that itself; remove store= from the URL."),
        ("?redirect=yes", "OpsPlatform decides that itself; remove redirect= from the URL."),
        ("?verify=yes", ""),
        ("?avatar=no", ""),
    ],
)
def test_url_decides_nothing_that_is_ours(settings, told):
    assert apprise.refusal_of(f"rocket://ann:s3cret@chat.example/{settings}") == told


def test_channel_whose_url_switches_checks_off_is_not_saved():
    with pytest.raises(InvalidInputError) as refused:
        made("apprise", {"url": "gotifys://push.example/t0ken?verify=no"})

    assert refused.value.errors == {
        "url": ["Certificates are always verified; remove verify= from the URL."]
    }
    assert not Channel.objects.exists()


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("rocket://user:SECRET%21PASSWD@host.example/#chan", {"SECRET!PASSWD", "SECRET%21PASSWD"}),
        ("pover://USERKEYofAnn@TOKENofApp", {"USERKEYofAnn", "TOKENofApp", "tokenofapp"}),
        ("pbul://KEYofPushbullet", {"KEYofPushbullet"}),
        ("rocket://h/#room?token=T0KENofRoom", {"T0KENofRoom"}),
    ],
)
def test_every_part_of_the_url_is_hidden(url, secrets):
    assert secrets <= set(apprise.secrets_of_url(url))
