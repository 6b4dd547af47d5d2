"""Make a WSGI environment out of an ASGI scope."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from opsplatform.bridge.types import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsplatform.bridge.types import Environ, HeaderPairs, Scope

_MOST_HEADER_BYTES: Final = 65_536
# Each block costs one change between the threads, so downloads are read in large ones.
_LEAST_BLOCK_BYTES: Final = 65_536
_WITHOUT_PREFIX: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


def read_headers(headers: HeaderPairs) -> dict[str, str]:
    """Return the headers under their CGI names; raise RefusedError for what proxies read otherwise.

    A name with an underscore is dropped: `X_Api_Key` would pass for `X-Api-Key`, which a proxy in
    front may have removed. A repeated header is joined once, as RFC 9110 allows.
    """
    fields: dict[str, str] = {}
    size = 0
    for name, raw_value in headers:
        size += len(name) + len(raw_value) + 4
        key = _cgi_name(name)
        if not key:
            continue
        value = raw_value.decode("latin-1").strip()
        fields[key] = _join(key, fields[key], value) if key in fields else value
    if size > _MOST_HEADER_BYTES:
        raise RefusedError(431, "The headers are larger than 64 KiB.")
    return fields


def declared_length(fields: dict[str, str]) -> int | None:
    """Return the Content-Length, or None; raise RefusedError if it cannot be trusted."""
    value = fields.get("CONTENT_LENGTH")
    if value is None:
        return None
    if "HTTP_TRANSFER_ENCODING" in fields:
        raise RefusedError(400, "Content-Length and Transfer-Encoding exclude each other.")
    if not (value.isascii() and value.isdigit()):
        raise RefusedError(400, "Content-Length is not a number.")
    return int(value)


def build_environ(
    scope: Scope,
    fields: dict[str, str],
    *,
    body: IO[bytes],
    length: int,
    client_gone: Callable[[], bool],
) -> Environ:
    """Return the environment of a request whose body has been read.

    CONTENT_LENGTH is what was read, also for chunked requests, whose body Django would not see
    otherwise. `opsplatform.client_gone` tells a long view that nobody waits any more.
    """
    server_name, server_port = scope.get("server") or ("localhost", None)
    address, port = scope.get("client") or ("", None)
    fields.pop("HTTP_TRANSFER_ENCODING", None)
    return {
        **fields,
        "CONTENT_LENGTH": str(length),
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": _path(scope),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": server_name,
        "SERVER_PORT": str(server_port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(port or ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _file_blocks,
        "opsplatform.client_gone": client_gone,
    }


@lru_cache(maxsize=1024)
def _cgi_name(name: bytes) -> str:
    """Return the name of a header in the environment; empty for one that is dropped."""
    text = name.decode("latin-1").upper()
    if "_" in text:
        return ""
    text = text.replace("-", "_")
    return text if text in _WITHOUT_PREFIX else f"HTTP_{text}"


def _join(key: str, first: str, second: str) -> str:
    if key == "HTTP_COOKIE":
        return f"{first}; {second}"
    if key in {"CONTENT_LENGTH", "HTTP_HOST"}:
        if first != second:
            raise RefusedError(400, "Host or Content-Length is given twice with different values.")
        return first
    return f"{first},{second}"


def _path(scope: Scope) -> str:
    """Return the path's own bytes; the decoded one has lost those that are not UTF-8."""
    raw: bytes | None = scope.get("raw_path")
    path = scope["path"].encode() if raw is None else unquote_to_bytes(raw.partition(b"?")[0])
    text = path.decode("latin-1")
    # `OPTIONS *` asks about the whole server, but WSGI knows only paths.
    return text if text.startswith("/") else f"/{text}"


def _file_blocks(file: IO[bytes], block_bytes: int = 0) -> FileWrapper:
    return FileWrapper(file, max(block_bytes, _LEAST_BLOCK_BYTES))
