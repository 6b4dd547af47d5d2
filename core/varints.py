"""Unsigned numbers in groups of seven bits, lowest first; the eighth bit says that more follows."""

from __future__ import annotations

from typing import Final

_GROUP: Final = 7
_LOW: Final = 0x7F
_MORE: Final = 0x80


def put(out: bytearray, number: int) -> None:
    """Append a number; small ones take one byte."""
    while number > _LOW:
        out.append(number & _LOW | _MORE)
        number >>= _GROUP
    out.append(number)


def read(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where the next one does; raises IndexError."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & _LOW) << shift
        if byte < _MORE:
            return number, at
        shift += _GROUP


def numbers(data: bytes) -> list[int]:
    """Return all numbers that the bytes hold; raises ValueError if the last one is cut off."""
    if data.isascii():
        # Each is one byte, as most columns are.
        return list(data)
    if data[-1] >= _MORE:
        message = "These bytes end within a number."
        raise ValueError(message)
    found, at, end = [], 0, len(data)
    while at < end:
        number, at = read(data, at)
        found.append(number)
    return found
