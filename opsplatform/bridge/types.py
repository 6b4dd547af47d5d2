"""The shapes that ASGI and WSGI pass around, and the bridge's one error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
HeaderPairs: TypeAlias = list[tuple[bytes, bytes]]
Environ: TypeAlias = dict[str, Any]
WSGIApplication: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class RefusedError(Exception):
    """A request that never reaches the application; the detail is shown to the client."""

    def __init__(self, status: int, detail: str, *, retry_after_seconds: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class ClientGoneError(Exception):
    """The client left: nobody waits for an answer any more."""
