"""Unsigned numbers in groups of seven bits, lowest first; the eighth bit says that more follows."""

from __future__ import annotations

import re
from typing import Final

_GROUP: Final = 7
_LOW: Final = 0x7F
_MORE: Final = 0x80
_LONGER: Final = re.compile(rb"[\x80-\xff]+[\x00-\x7f]")


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
    if data and data[-1] >= _MORE:
        message = "These bytes end within a number."
        raise ValueError(message)
    found: list[int] = []
    done = 0
    # Nearly all are one byte, whatever they are of; what lies between longer ones is taken at once.
    for longer in _LONGER.finditer(data):
        found += data[done : longer.start()]
        found.append(read(longer[0], 0)[0])
        done = longer.end()
    found += data[done:]
    return found
