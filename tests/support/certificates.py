"""A certificate authority for tests, trusted by the clients of the process while a test runs."""

import contextlib
import datetime as dt
import functools
import ipaddress
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import http_timing


class Authority:
    """Vouches for servers at 127.0.0.1, with certificates that are good or bad as asked for."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        now = dt.datetime.now(dt.UTC)
        made = self._builder(
            self._name, self._key.public_key(), now - dt.timedelta(days=400), dt.timedelta(3650)
        ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        root = made.sign(self._key, hashes.SHA256())
        original = http_timing.tls_context.__wrapped__

        @functools.cache
        def trusting(*, verify: bool) -> ssl.SSLContext:
            context = original(verify=verify)
            if verify:
                pem = root.public_bytes(serialization.Encoding.PEM).decode()
                context.load_verify_locations(cadata=pem)
            return context

        for module in ("core.http_timing", "core.http", "core.connecting"):
            monkeypatch.setattr(f"{module}.tls_context", trusting)

    def context(self, *, days: float = 30, begins: float = -10, name: str = "") -> ssl.SSLContext:
        """Make a server context whose certificate begins and ends so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or "127.0.0.1")])
        begin = dt.datetime.now(dt.UTC) + dt.timedelta(days=begins)
        whom = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        length = dt.timedelta(days=max(days - begins, 0.1))
        made = self._builder(subject, key.public_key(), begin, length).add_extension(
            x509.SubjectAlternativeName([whom]), critical=False
        )
        pem = self._folder / f"server-{next(self._numbers)}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    def _builder(self, subject, key, begin, length) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + length)
        )


@contextlib.contextmanager
def shaking_hands(context: ssl.SSLContext | None) -> Iterator[int]:
    """Accept connections one by one, shake hands over TLS and hang up; give the port.

    Without a context the server greets in another protocol.
    """

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            # What the client thinks of the handshake is the client's matter.
            with accepted, contextlib.suppress(OSError):
                if context is None:
                    accepted.sendall(b"220 mail.example ESMTP\r\n")
                    accepted.recv(4096)
                else:
                    with context.wrap_socket(accepted, server_side=True) as wrapped:
                        wrapped.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
