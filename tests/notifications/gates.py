"""A way to the database of a test that can be shut, as if the server had gone."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.db import connection

if TYPE_CHECKING:
    from typing import Self


class Gate:
    """Carries connections to PostgreSQL; while it is shut, each breaks and none is let in."""

    def __init__(self) -> None:
        # What this test's own connection has found out about where the server is.
        connection.ensure_connection()
        known = connection.connection.info
        self._reach = partial(_reach, known.host, known.port)
        self.refused = 0
        self._is_open = True
        self._lock = threading.Lock()
        self._carried: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    @property
    def url(self) -> str:
        """Return where the database of this test is found behind the gate."""
        given = urlsplit(os.environ["DATABASE_URL"])
        who = given.netloc.rpartition("@")[0]
        port = self._listener.getsockname()[1]
        name = connection.settings_dict["NAME"]
        return given._replace(netloc=f"{who}@127.0.0.1:{port}", path=f"/{name}", query="").geturl()

    def shut(self) -> None:
        """Break every connection and let none in."""
        with self._lock:
            self._is_open = False
            for one in self._carried:
                # It may have been closed at the other end just now.
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Let connections in again."""
        with self._lock:
            self._is_open = True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._is_open:
                    self.refused += 1
                    client.close()
                    continue
                server = self._reach()
                self._carried |= {client, server}
            thread = threading.Thread(target=self._carry, args=(client, server))
            thread.start()
            self._threads.append(thread)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        others = {client: server, server: client}
        with client, server, contextlib.suppress(OSError):
            while True:
                for one in select.select(list(others), [], [])[0]:
                    data = one.recv(65_536)
                    if not data:
                        self._forget(client, server)
                        return
                    others[one].sendall(data)
        self._forget(client, server)

    def _forget(self, *ended: socket.socket) -> None:
        with self._lock:
            self._carried.difference_update(ended)


def _reach(host: str, port: int) -> socket.socket:
    """Connect to the server itself, which may listen in a folder only."""
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    found = socket.socket(socket.AF_UNIX)
    found.connect(f"{host}/.s.PGSQL.{port}")
    return found
