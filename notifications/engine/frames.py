"""Frames of the live feed: what the server says, and how to read what a client says."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from notifications.engine.audiences import is_withheld

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

VERSION: Final = 1
MOST_BYTES: Final = 16_384
MOST_TOPICS: Final = 50
_LONGEST_NAME: Final = 100
_LAST_SEQ: Final = 2**63

BAD_FRAMES: Final = 4400
NOT_AUTHENTICATED: Final = 4401
FORBIDDEN: Final = 4403
HEARTBEAT_MISSED: Final = 4408
TOO_SLOW: Final = 4409
TOO_LARGE: Final = 4413
TOO_MANY: Final = 4429
RESTART: Final = 1012
FULL: Final = 1013
OTHER: Final = 0xFFFF
# What clients say by the protocol, and what the server's parser says in their name.
_OF_CLIENTS: Final = frozenset({1000, 1001, 1002, 1005, 1006, 1007, 1009, RESTART})


class BadFrameError(Exception):
    """A frame that no client of ours sends; the message is told to the client."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a feed."""

    audience: str
    seq: int
    kind: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """One frame of a client, its fields checked; what its kind does not have is empty."""

    kind: str
    topics: Collection[str] = ()
    cursors: Mapping[str, int] = field(default_factory=dict)
    audience: str = ""
    seq: int = 0
    token: str = ""


def code_of_client(code: int) -> int:
    """Return the code by which a client left; OTHER for one that it has made up."""
    return code if code in _OF_CLIENTS else OTHER


def name_of(code: int) -> str:
    """Return the name of a code in statistics."""
    return "other" if code == OTHER else str(code)


def encode(name: str, /, **fields: object) -> bytes:
    """Return a frame of the server, as a whole WebSocket message."""
    return _framed(orjson.dumps({"type": name, **fields}, default=str))


def event(entry: Entry) -> bytes:
    """Return the frame of an entry."""
    return encode(
        "event",
        audience=entry.audience,
        seq=entry.seq,
        kind=entry.kind,
        data=entry.data,
        at=entry.at.isoformat(timespec="milliseconds"),
    )


def shown(frame: bytes, granted: Collection[str]) -> bytes:
    """Return the frame of an entry as somebody with these permissions may read it."""
    told = orjson.loads(text_of(frame))
    if is_withheld(told["audience"], told["kind"], granted):
        return _framed(orjson.dumps(told | {"data": {}}))
    return frame


def text_of(frame: bytes) -> str:
    """Return the text in a frame that `encode` made."""
    length = frame[1]
    start = 2 if length < _TWO_BYTES else 4 if length == _TWO_BYTES else 10
    return frame[start:].decode()


_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127


def _framed(payload: bytes) -> bytes:
    # Unmasked, unfragmented, uncompressed: the same bytes for every client (RFC 6455, 5.2).
    length = len(payload)
    if length < _TWO_BYTES:
        head = struct.pack("!BB", 0x81, length)
    elif length < 2**16:
        head = struct.pack("!BBH", 0x81, _TWO_BYTES, length)
    else:
        head = struct.pack("!BBQ", 0x81, _EIGHT_BYTES, length)
    return head + payload


def read(text: str) -> Asked:
    """Read a frame of a client; raise BadFrameError for anything but the known ones."""
    try:
        told = orjson.loads(text)
    except ValueError:
        message = "The frame is not JSON."
        raise BadFrameError(message) from None
    if not isinstance(told, dict):
        message = "The frame is not an object."
        raise BadFrameError(message)
    match told.get("type"):
        case "pong":
            return Asked("pong")
        case "subscribe":
            return Asked(
                "subscribe",
                topics=_topics(told.get("topics")),
                cursors=_cursors(told.get("cursors")),
            )
        case "read":
            return Asked("read", audience=_name(told.get("audience")), seq=_number(told.get("seq")))
        case "auth":
            token = told.get("token")
            if not isinstance(token, str):
                message = "The token is not a text."
                raise BadFrameError(message)
            return Asked("auth", token=token)
    message = "There is no such type of frame."
    raise BadFrameError(message)


def _topics(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_TOPICS:
        message = f"The topics are not a list of at most {MOST_TOPICS}."
        raise BadFrameError(message)
    return tuple(_name(topic) for topic in value)


def _cursors(value: object) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST_TOPICS:
        message = f"The cursors are not an object of at most {MOST_TOPICS}."
        raise BadFrameError(message)
    return {_name(audience): _number(seq) for audience, seq in value.items()}


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        message = f"A name is a text of 1 to {_LONGEST_NAME} characters."
        raise BadFrameError(message)
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _LAST_SEQ:
        message = "A number of a feed is a whole number from 0."
        raise BadFrameError(message)
    return value
