"""Mail goes to the server that the operator named, and encrypted if the operator says so."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.loops import close_pool
from notifications.models import Notification
from notifications.services.dispatch import Dispatcher
from tests.notifications.conftest import alert_to
from tests.notifications.receivers import Mailbox, MailServer

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "127.0.0.1"


class Greeter(SMTP):
    """A mail server that remembers in which connections TLS was on when mail came."""

    encrypted: list[bool]

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # the server's name for the hook
        """Remember how it came."""
        self.encrypted.append(self.transport.get_extra_info("ssl_object") is not None)
        await super().smtp_DATA(arg)


class SecureServer(MailServer):
    """A mail server with a certificate: TLS from the first byte, by STARTTLS, or none at all."""

    def __init__(self, mailbox: Mailbox, mode: str, context: ssl.SSLContext) -> None:
        super().__init__(mailbox)
        self.encrypted: list[bool] = []
        self.ssl_context = context if mode == "tls" else None
        self.SMTP_kwargs["tls_context"] = context if mode == "starttls" else None

    def make_session(self) -> Greeter:
        """Make what serves one connection, and notes whether it was encrypted."""
        served = Greeter(self.handler, **self.SMTP_kwargs)
        served.encrypted = self.encrypted
        return served


def make_certificate(folder: Path, name: str) -> Path:
    """Write a self-made certificate with its key, for an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address(name))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return pem


@pytest.fixture
def serve(settings, tmp_path, monkeypatch) -> Iterator[Callable[..., SecureServer]]:
    """Return a function that starts a server and names it in the settings."""
    started: list[SecureServer] = []

    def start(*, offers: str, wanted: str, name: str = ADDRESS, known: bool = True) -> SecureServer:
        pem = make_certificate(tmp_path, name)
        if known:
            monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server = SecureServer(Mailbox(), offers, context)
        server.start()
        started.append(server)
        settings.EMAIL_HOST, settings.EMAIL_PORT = ADDRESS, server.port
        settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = wanted == "starttls", wanted == "tls"
        settings.DEFAULT_FROM_EMAIL = "ops@example.com"
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def dispatch() -> Iterator[Callable[[], None]]:
    """Return a function that sends all that is due."""

    async def run() -> None:
        dispatcher = Dispatcher()
        await dispatcher()
        await dispatcher.drain()
        await dispatcher.close()

    yield lambda: asyncio.run(run())
    close_pool()


def told(alert: Notification) -> tuple[str, str, str]:
    """Return how a message stands, and what kind of error it met."""
    alert.refresh_from_db()
    return alert.state, alert.history.get().error_class, alert.last_error


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_mail_goes_encrypted_to_a_server_that_proves_its_name(
    serve, dispatch, make_mail_channel, mode
):
    server = serve(offers=mode, wanted=mode)
    alert = alert_to(make_mail_channel())

    dispatch()

    assert told(alert) == ("sent", "", "")
    assert server.encrypted == [True]


@pytest.mark.parametrize("mode", ["starttls", "tls"])
@pytest.mark.parametrize(
    "certificate", [{"name": "127.0.0.2"}, {"known": False}], ids=["wrong name", "unknown issuer"]
)
def test_a_server_that_does_not_prove_its_name_gets_no_mail(
    serve, dispatch, make_mail_channel, mode, certificate
):
    server = serve(offers=mode, wanted=mode, **certificate)
    alert = alert_to(make_mail_channel())

    dispatch()

    state, error, text = told(alert)
    assert (state, error, server.handler.mails) == ("pending", "tls", [])
    assert text == "TLS with the mail server failed (CERTIFICATE_VERIFY_FAILED)."


def test_without_starttls_no_mail_goes_in_clear(serve, dispatch, make_mail_channel):
    server = serve(offers="none", wanted="starttls")
    alert = alert_to(make_mail_channel())

    dispatch()

    state, error, text = told(alert)
    assert (state, error, server.handler.mails) == ("dead", "smtp_unsupported", [])
    assert "EMAIL_SECURITY" in text


def test_a_server_without_tls_gets_no_mail_if_tls_is_wanted(serve, dispatch, make_mail_channel):
    server = serve(offers="none", wanted="tls")
    alert = alert_to(make_mail_channel(timeout_seconds=2))

    dispatch()

    state, _, _ = told(alert)
    assert (state, server.handler.mails) == ("pending", [])


@pytest.mark.parametrize("host", ["169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16"])
@pytest.mark.parametrize("wanted", ["none", "tls"])
def test_a_mail_server_where_clouds_hand_out_credentials_is_never_reached(
    serve, dispatch, make_mail_channel, settings, host, wanted
):
    settings.EMAIL_HOST, settings.EMAIL_USE_SSL = host, wanted == "tls"
    settings.OPS_OUTGOING_ALLOW = ("169.254.0.0/16",)
    alert = alert_to(make_mail_channel())

    dispatch()

    assert told(alert) == (
        "dead",
        "refused_target",
        "EMAIL_HOST leads to an address that the platform never connects to.",
    )
