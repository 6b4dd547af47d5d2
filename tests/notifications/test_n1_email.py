"""Mail through a real SMTP server: what it says, and what each answer of the server means."""

import asyncio
import email
import re
import socket
import threading
from datetime import UTC, datetime
from email import policy

import pytest

from core.loops import close_pool
from notifications.engine import email as engine
from notifications.engine.base import Message
from notifications.models import Channel, DeliveryAttempt, Notification
from notifications.services.dispatch import Dispatcher
from tests.notifications.conftest import alert_to, raise_alert, route_all

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def message(**changes) -> Message:
    told = {
        "kind": "check.down",
        "severity": "critical",
        "status": "firing",
        "title": "shop is down",
        "body": "HTTP 500",
        "service": "shop",
        "labels": {"region": "eu"},
        "links": {"Incident": "https://ops.example.com/i/1?a=1&b=2"},
        "dedup_key": "check:1",
        "seq": 1,
        "occurred_at": "2026-11-20T11:59:00+00:00",
        "reason": "first",
    }
    return Message(**told | changes)


def rendered(alert: Message, **changes):
    told = {
        "sender": "Ops <ops@example.com>",
        "recipient": "ada@example.com",
        "key": "key-1",
        "sent_at": NOW,
    }
    raw = engine.render(alert, engine.Envelope(**told | changes)).as_bytes()
    return email.message_from_bytes(raw, policy=policy.default)


def parts(mail) -> tuple[str, str]:
    plain, html = mail.iter_parts()
    return plain.get_content(), html.get_content()


def test_mail_says_what_happened_to_what_and_when():
    mail = rendered(message())

    assert mail["Subject"] == "[CRITICAL] shop is down"
    assert (mail["From"], mail["To"]) == ("Ops <ops@example.com>", "ada@example.com")
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, html = parts(mail)
    for said in ("shop is down", "HTTP 500", "Service: shop", "region: eu", "key-1"):
        assert said in plain
    assert "Incident: https://ops.example.com/i/1?a=1&b=2" in plain
    assert re.search(
        r'<a href="https://ops\.example\.com/i/1\?a=1&amp;b=2"[^>]*>Incident</a>', html
    )


@pytest.mark.parametrize(
    ("status", "severity", "mark"),
    [
        ("firing", "warning", "[WARNING]"),
        ("resolved", "critical", "[RESOLVED]"),
        ("info", "info", "[INFO]"),
    ],
)
def test_subject_begins_with_how_things_stand(status, severity, mark):
    subject = rendered(message(status=status, severity=severity))["Subject"]

    assert subject == f"{mark} shop is down"


def test_line_breaks_of_an_alert_make_no_header():
    mail = rendered(message(title="shop\r\nBcc: eve@example.com\u2028down"))

    assert mail["Subject"] == "[CRITICAL] shop Bcc: eve@example.com down"
    assert mail["Bcc"] is None


def test_markup_of_an_alert_stays_text():
    evil = '<img src=x onerror="alert(1)">'
    _, html = parts(rendered(message(title=evil, body=evil, service=evil, labels={evil: evil})))

    assert "<img" not in html
    assert html.count("&lt;img") == 5


def test_only_web_links_become_links():
    _, html = parts(rendered(message(links={"x": "javascript:alert(1)"})))

    assert "<a " not in html
    assert "javascript:alert(1)" in html


def test_repeat_carries_the_same_id_and_an_uncertain_one_says_so():
    first, second = rendered(message()), rendered(message(), uncertain=True)

    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@example.com>")
    assert engine.REPEAT_NOTE not in parts(first)[0]
    assert all(engine.REPEAT_NOTE in part for part in parts(second))


def test_mails_of_one_incident_form_a_thread():
    down, up = rendered(message()), rendered(message(status="resolved", seq=2), key="key-2")
    other = rendered(message(dedup_key="check:2"), key="key-3")

    assert down["References"] == up["References"] == up["In-Reply-To"]
    assert down["Message-ID"] != up["Message-ID"]
    assert other["References"] != down["References"]


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "ada",
        "ada@",
        "@example.com",
        "ada@example..com",
        "ada@exa mple.com",
        "ada,eve@example.com",
        "<ada@example.com>",
        "ädä@example.com",
        "a" * 250 + "@b.de",
        "-oX@example.com",
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        "ada@127.0.0.1",
        "",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(engine.HeaderRefusedError, match="To header"):
        rendered(message(), recipient=address)


def test_domain_of_an_address_is_written_in_ascii():
    assert rendered(message(), recipient="ada@exämple.com")["To"] == "ada@xn--exmple-cua.com"


def test_long_text_survives_seven_bits():
    body = "ü" * 3_000
    raw = engine.render(
        message(body=body),
        engine.Envelope(sender="a@b.de", recipient="c@d.de", key="k", sent_at=NOW),
    ).as_bytes()

    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78
    assert body in parts(email.message_from_bytes(raw, policy=policy.default))[0]


@pytest.fixture
def dispatch(transactional_db):
    """Return a function that sends all that is due."""

    async def run() -> None:
        dispatcher = Dispatcher()
        await dispatcher()
        await dispatcher.drain()
        await dispatcher.close()

    yield lambda: asyncio.run(run())
    close_pool()


def test_each_recipient_gets_a_mail_of_their_own(dispatch, mailbox, make_mail_channel):
    make_mail_channel("ada@example.com", "bob@example.com")
    raise_alert()
    route_all()

    dispatch()

    told = sorted(mail.rcpt_tos for mail in mailbox.mails)
    assert told == [["ada@example.com"], ["bob@example.com"]]
    assert {mail.mail_from for mail in mailbox.mails} == {"ops@example.com"}
    rows = Notification.objects.values_list("state", "provider_ref")
    assert set(rows) == {("sent", "2.0.0 Ok: queued as 4F2A")}


@pytest.mark.parametrize(
    ("answer", "state", "outcome", "code"),
    [
        ("550 5.1.1 No such user", "dead", "refused", 550),
        ("451 4.7.1 Greylisted", "pending", "retry", 451),
    ],
)
def test_servers_answer_decides(dispatch, mailbox, make_mail_channel, answer, state, outcome, code):
    alert = alert_to(make_mail_channel("ada@example.com"))
    mailbox.refusals = {"ada@example.com": answer}

    dispatch()

    alert.refresh_from_db()
    attempt = alert.history.get()
    assert (alert.state, attempt.outcome, attempt.status_code) == (state, outcome, code)
    assert attempt.excerpt == answer.partition(" ")[2]


def test_refused_recipient_does_not_stop_the_next(dispatch, mailbox, make_mail_channel):
    make_mail_channel("ada@example.com", "bob@example.com")
    raise_alert()
    route_all()
    mailbox.refusals = {"ada@example.com": "550 No"}

    dispatch()

    rows = dict(Notification.objects.values_list("recipient", "state"))
    assert rows == {"ada@example.com": "dead", "bob@example.com": "sent"}


def test_without_a_mail_server_the_message_is_dead_at_once(dispatch, make_mail_channel, settings):
    settings.EMAIL_HOST = ""
    channel = make_mail_channel()
    alert = alert_to(channel)

    dispatch()

    alert.refresh_from_db()
    channel.refresh_from_db()
    assert (alert.state, alert.attempts) == ("dead", 1)
    assert alert.last_error == "No mail server is configured; set EMAIL_HOST."
    assert channel.last_error == alert.last_error
    assert alert.history.get().error_class == "not_configured"


def test_unreachable_server_is_tried_again(dispatch, mailbox, make_mail_channel, settings):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = bound.getsockname()[1]
        alert = alert_to(make_mail_channel())

        dispatch()

    alert.refresh_from_db()
    assert (alert.state, alert.uncertain) == ("pending", False)
    assert alert.history.get().error_class == "connection"


def drip(connection: socket.socket, stop: threading.Event) -> None:
    """Send a greeting for a minute; each byte comes in time for the socket."""
    with connection:
        for _ in range(300):
            if stop.wait(0.2):
                return
            try:
                connection.sendall(b"2")
            except OSError:
                return


def test_server_that_drips_is_broken_off_after_the_timeout(dispatch, make_mail_channel, settings):
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    thread = threading.Thread(target=lambda: drip(listener.accept()[0], stop))
    thread.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = listener.getsockname()
    alert = alert_to(make_mail_channel(timeout_seconds=1))

    dispatch()

    stop.set()
    thread.join()
    listener.close()
    alert.refresh_from_db()
    assert alert.history.get().error_class == "timeout"
    assert (alert.state, alert.uncertain) == ("pending", True)


def converse(connection: socket.socket) -> None:
    """Take one mail as the smallest of mail servers does."""
    answers = {b"EHLO": b"250 x", b"DATA": b"354 go on", b"QUIT": b"221 bye"}
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 x\r\n")
        for line in lines:
            command = line[:4].upper()
            connection.sendall(answers.get(command, b"250 ok") + b"\r\n")
            if command == b"DATA":
                while lines.readline() != b".\r\n":
                    continue
                connection.sendall(b"250 taken\r\n")
            if command == b"QUIT":
                return


def test_mail_behind_one_that_was_broken_off_is_sent(dispatch, make_mail_channel, settings):
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def drip_then_serve() -> None:
        dripping = threading.Thread(target=drip, args=(listener.accept()[0], stop))
        dripping.start()
        converse(listener.accept()[0])
        dripping.join()

    thread = threading.Thread(target=drip_then_serve)
    thread.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = listener.getsockname()
    make_mail_channel("ada@example.com", "bob@example.com", timeout_seconds=1)
    raise_alert()
    route_all()

    dispatch()

    stop.set()
    thread.join()
    listener.close()
    # The first tries tell: on a slow machine the mail that was broken off may be sent by now, too.
    first_tries = DeliveryAttempt.objects.filter(number=1).values_list("outcome", flat=True)
    assert sorted(first_tries) == ["delivered", "retry"]


def test_user_without_a_server_that_takes_one_says_what_to_change(
    dispatch, mailbox, make_mail_channel, settings
):
    settings.EMAIL_HOST_USER = "ops"
    settings.EMAIL_HOST_PASSWORD = "correct horse"
    alert = alert_to(make_mail_channel())

    dispatch()

    alert.refresh_from_db()
    assert alert.state == "dead"
    assert "EMAIL_HOST_USER" in alert.last_error
    assert "correct horse" not in str(alert.history.values())


def test_recipient_that_no_header_may_hold_is_refused(dispatch, mailbox, make_mail_channel):
    alert = alert_to(make_mail_channel())
    Notification.objects.update(recipient="ada@example.com\r\nRCPT TO:<eve@example.com>")

    dispatch()

    alert.refresh_from_db()
    assert (alert.state, mailbox.mails) == ("dead", [])
    assert Channel.objects.get().fails == 0
