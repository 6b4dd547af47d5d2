"""Numbers of seven bits: whatever is written is read, and nothing that was cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import varints

many = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**40)))


def written(numbers):
    out = bytearray()
    for number in numbers:
        varints.put(out, number)
    return bytes(out)


@given(many)
def test_numbers_are_read_as_they_were_written(numbers):
    data = written(numbers)

    assert varints.numbers(data) == numbers
    at, found = 0, []
    while at < len(data):
        number, at = varints.read(data, at)
        found.append(number)
    assert found == numbers


def test_small_numbers_take_one_byte():
    assert written([0, 127]) == b"\x00\x7f"
    assert written([128, 16_383]) == b"\x80\x01\xff\x7f"


@given(many, st.integers(128, 2**40))
def test_a_number_that_is_cut_off_is_refused(numbers, last):
    data = written([*numbers, last])[:-1]

    with pytest.raises(ValueError, match="end within a number"):
        varints.numbers(data)
    with pytest.raises(IndexError):
        varints.read(data, len(written(numbers)))
