"""Real receivers: an HTTP server and a mail server, each in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session


# A connection with TLS is closed layer by layer, each in a turn of its own.
_TURNS_TO_CLOSE = 10


@dataclass
class Answer:
    """What a receiver says; one with an event waits for it first."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    wait_for: threading.Event | None = None


@dataclass
class Received:
    """What a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A real HTTP server: gives the prepared answers in turn, then 200 for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[Received] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = receiver.take(Received(self.path, dict(self.headers), body))
                if answer.wait_for is not None:
                    answer.wait_for.wait(30)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                # A sender that was told to stop does not wait for the answer.
                with contextlib.suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(answer.body)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return an address with a token in it, as receivers give out."""
        return f"http://127.0.0.1:{self.port}/hooks/t0p-s3cret"

    def take(self, request: Received) -> Answer:
        """Keep the request and return what to say to it."""
        with self._lock:
            self.requests.append(request)
            return self.answers.pop(0) if self.answers else Answer()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Mailbox:
    """The handler of a real SMTP server: keeps what it accepts."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.refusals: dict[str, str] = {}

    async def handle_RCPT(  # noqa: N802  # the server's name for the hook
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # the server's name for the hook
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the mail."""
        self.mails.append(envelope)
        return "250 2.0.0 Ok: queued as 4F2A"


class MailServer(Controller):
    """A mail server on any free port."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox, hostname="127.0.0.1", port=0)
        self._served: list[SMTP] = []

    def make_session(self) -> SMTP:
        """Make what serves one connection."""
        return super().factory()

    def factory(self) -> SMTP:
        """Make what serves one connection, and remember it until the end."""
        session = self.make_session()
        self._served.append(session)
        return session

    def stop(self, no_assert: bool = False) -> None:  # noqa: FBT001, FBT002  # as the base has it
        """Hang up, then end: a loop that ends before its connections leaves their sockets open."""
        if self.loop.is_running():
            asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(10)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        """Cut every connection, and give the loop the turns in which it lets go of them."""
        for session in self._served:
            if session.transport is not None:
                session.transport.abort()
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    def _trigger_server(self) -> None:
        """Learn the port before the base class greets itself there."""
        self.port = int(self.server.sockets[0].getsockname()[1])
        super()._trigger_server()
