"""Say which request, trace and person the running code works for."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final, TypedDict, Unpack

REQUEST_ID_HEADER: Final = "x-request-id"
TRACEPARENT_HEADER: Final = "traceparent"

# Ids from outside end up in log lines and audit rows, so only harmless ones are taken over.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_TRACEPARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})"
    r"-[0-9a-f]{2}(?P<rest>-.*)?"
)
_LONGEST_TRACEPARENT: Final = 512


@dataclass(frozen=True, slots=True)
class Context:
    """What log lines and audit rows tell about the origin of an act; empty means unknown."""

    request_id: str = ""
    trace_id: str = ""
    address: str = ""
    user_agent: str = ""
    user: str = ""
    session: str = ""


class Fields(TypedDict, total=False):
    """Name the fields of a context that shall change."""

    request_id: str
    trace_id: str
    address: str
    user_agent: str
    user: str
    session: str


_current: ContextVar[Context] = ContextVar("trace_context")
_NOBODY: Final = Context()


def current() -> Context:
    """Return the context of the running code."""
    return _current.get(_NOBODY)


@contextmanager
def bind(base: Context | None = None, /, **fields: Unpack[Fields]) -> Iterator[Context]:
    """Work in the present context, or in base, with these fields changed; restore it afterwards."""
    context = replace(current() if base is None else base, **fields)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def amend(**fields: Unpack[Fields]) -> Context:
    """Change the present context until the enclosing `bind` ends.

    For what becomes known in the middle of the work, such as the user of a request.
    """
    context = replace(current(), **fields)
    _current.set(context)
    return context


def new_request_id() -> str:
    """Return a random request id of 32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_trace_id() -> str:
    """Return a random W3C trace id, which is never all zeros."""
    return f"{secrets.randbits(128) or 1:032x}"


def is_request_id(value: str) -> bool:
    """Say whether a request id from outside may be taken over."""
    return _REQUEST_ID.fullmatch(value) is not None


def parse_traceparent(value: str) -> str | None:
    """Return the trace id of a W3C `traceparent`, or None if the value breaks the standard."""
    found = _TRACEPARENT.fullmatch(value) if len(value) <= _LONGEST_TRACEPARENT else None
    if found is None or found["version"] == "ff":
        return None
    # Only versions later than 00 may carry more than four parts.
    if found["version"] == "00" and found["rest"] is not None:
        return None
    if not found["trace"].strip("0") or not found["parent"].strip("0"):
        return None
    return found["trace"]


def format_traceparent(trace_id: str) -> str:
    """Return the `traceparent` of a next hop: the trace as it is, the span new."""
    return f"00-{trace_id}-{secrets.randbits(64) or 1:016x}-01"


def headers() -> dict[str, str]:
    """Return what carries the present request and trace to another process."""
    context = current()
    carried = {}
    if context.request_id:
        carried[REQUEST_ID_HEADER] = context.request_id
    if context.trace_id:
        carried[TRACEPARENT_HEADER] = format_traceparent(context.trace_id)
    return carried


def from_headers(carried: Mapping[str, object]) -> Context:
    """Return the context that these headers carry; what is missing or malformed is made new.

    Names are in lower case. The mapping may come from a stranger: values of any type are safe.
    """
    request_id = carried.get(REQUEST_ID_HEADER)
    if not isinstance(request_id, str) or not is_request_id(request_id):
        request_id = new_request_id()
    traceparent = carried.get(TRACEPARENT_HEADER)
    trace_id = parse_traceparent(traceparent) if isinstance(traceparent, str) else None
    return Context(request_id=request_id, trace_id=trace_id or new_trace_id())
