"""Sending mail by SMTP, and what the server's answers mean."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from core.addresses import Allow, Policy, is_allowed
from notifications.engine.base import Outcome, Verdict, excerpt

if TYPE_CHECKING:
    from email.message import EmailMessage

_PERMANENT: Final = 500
_READY: Final = 220
_OK: Final = 250
_RECIPIENT_ACCEPTED: Final = (250, 251)
# The operator names the server, so it may be anywhere but where no exception ever leads.
_ANYWHERE: Final = Allow.parse(["0.0.0.0/0", "::/0"])


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The operator's mail server; `security` is none, starttls or tls."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    security: str = "none"
    timeout_seconds: float


class MailConnection:
    """One connection to the mail server, opened when first needed.

    One thread at a time may send. `abort` may come from any thread: it ends a send whose server
    keeps the connection alive without ever finishing, which no socket timeout does.
    """

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None
        self._aborted = False

    def send(self, mail: EmailMessage) -> str:
        """Send the mail to the one it names and return the server's words of acceptance.

        Raises OSError, of which every error of smtplib is a kind.
        """
        try:
            smtp = self._smtp or self._open()
            _expect(smtp.mail(_only_address(mail, "From")), _OK)
            _expect(smtp.rcpt(_only_address(mail, "To")), *_RECIPIENT_ACCEPTED)
            return _expect(smtp.data(mail.as_bytes()), _OK)
        except OSError:
            # The dialogue may have stopped anywhere; the next mail starts a new one.
            self._drop()
            raise

    def abort(self) -> None:
        """Break off what another thread is sending, and refuse to send more."""
        self._aborted = True
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            with contextlib.suppress(OSError):
                smtp.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Say goodbye and close the connection, in the thread that has sent."""
        if self._smtp is not None:
            with contextlib.suppress(OSError):
                self._smtp.quit()
        self._drop()

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    def _open(self) -> smtplib.SMTP:
        server = self._server
        context = ssl.create_default_context()
        smtp = _Encrypted(server, context) if server.security == "tls" else _Plain(server)
        # Known before it connects, so that abort() reaches a connection that is being opened.
        self._smtp = smtp
        _expect(smtp.connect(server.host, server.port), _READY)
        if self._aborted:
            message = "Broken off."
            raise smtplib.SMTPServerDisconnected(message)
        smtp.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
        if server.user:
            smtp.login(server.user, server.password)
        return smtp


class RefusedServerError(OSError):
    """The server's name leads to an address that the platform never connects to."""


class _Guarded(smtplib.SMTP):
    """A client that judges the address it really connects to."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            literal = str(address[0])
            if not is_allowed(literal, port=port, policy=Policy.MONITOR, allow=_ANYWHERE):
                raise RefusedServerError
            try:
                return socket.create_connection((literal, port), timeout)
            except OSError as error:
                failure = error
        raise failure


class _Plain(_Guarded):
    """A client that connects when told to, not when it is made."""

    def __init__(self, server: MailServer) -> None:
        super().__init__(local_hostname=_own_name(), timeout=server.timeout_seconds)
        # The base class checks certificates against this name and sets it only if it connects.
        self._host = server.host


class _Encrypted(smtplib.SMTP_SSL, _Guarded):
    """The same, with TLS from the first byte."""

    def __init__(self, server: MailServer, context: ssl.SSLContext) -> None:
        super().__init__(
            local_hostname=_own_name(), timeout=server.timeout_seconds, context=context
        )
        self._host = server.host


@cache
def _own_name() -> str:
    # smtplib would ask the resolver for each connection; RFC 5321 allows a literal without a name.
    name = socket.getfqdn()
    return name if "." in name else "[127.0.0.1]"


def classify_error(error: OSError, *, secrets: tuple[str, ...]) -> Outcome:
    """Judge why a mail was not accepted: a 5xx answer is final, all else may pass."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _answered(error, "The mail server does not accept EMAIL_HOST_USER", secrets)
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error, "The mail server refused the message", secrets)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Outcome(
            verdict=Verdict.REFUSED,
            error_class="smtp_unsupported",
            detail="The mail server does not offer what EMAIL_SECURITY or EMAIL_HOST_USER needs.",
        )
    if isinstance(error, RefusedServerError):
        return Outcome(
            verdict=Verdict.REFUSED,
            error_class="refused_target",
            detail="EMAIL_HOST leads to an address that the platform never connects to.",
            local=True,
        )
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "no reason given"
        return _passing("tls", f"TLS with the mail server failed ({reason}).")
    if isinstance(error, TimeoutError):
        return _passing("timeout", "The mail server did not answer in time.", uncertain=True)
    if isinstance(error, socket.gaierror):
        return _passing("dns", "The name in EMAIL_HOST could not be resolved.")
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionResetError):
        return _passing("broken", "The mail server broke the connection.", uncertain=True)
    return _passing("connection", "The connection to the mail server could not be opened.")


def _only_address(mail: EmailMessage, header: str) -> str:
    return str(mail[header].addresses[0].addr_spec)


def _expect(answer: tuple[int, bytes], *accepted: int) -> str:
    code, text = answer
    if code not in accepted:
        raise smtplib.SMTPResponseException(code, text)
    return text.decode("utf-8", "replace")


def _answered(
    error: smtplib.SMTPResponseException, words: str, secrets: tuple[str, ...]
) -> Outcome:
    code = error.smtp_code
    text = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
    return Outcome(
        verdict=Verdict.REFUSED if code >= _PERMANENT else Verdict.RETRY,
        error_class=f"smtp_{code}",
        detail=f"{words} ({code}).",
        # smtplib reports -1 for an answer without a code.
        status_code=code if code > 0 else None,
        excerpt=excerpt(text, secrets),
    )


def _passing(error_class: str, detail: str, *, uncertain: bool = False) -> Outcome:
    return Outcome(
        verdict=Verdict.RETRY, error_class=error_class, detail=detail, uncertain=uncertain
    )
