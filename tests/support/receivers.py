"""Real servers on this machine that tests talk to: a service, a webhook receiver, a mail server."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

from tests.support.platform import free_port


class Web:
    """An HTTP server that can be stopped and started again on its port."""

    def __init__(self, status=200):
        self.status = status
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    def start(self):
        """Serve, on the same port as before."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                owner.requests.append((self.path, dict(self.headers), body))
                self.send_response(owner.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = do_HEAD = _answer

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Refuse connections."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self):
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/"


class Mail:
    """An SMTP server that keeps what it gets."""

    def __init__(self):
        self.messages: list[bytes] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  # aiosmtpd's name
        self.messages.append(envelope.content)
        return "250 OK"

    def stop(self):
        """End the server."""
        self._controller.stop()

    @property
    def port(self):
        """Where it listens."""
        return self._controller.port
