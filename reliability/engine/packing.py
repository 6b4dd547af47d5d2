"""Results of a check in few bytes: an hour with fine latencies, a day with coarser ones.

The format is described in docs/results-format.md; what was written once stays readable.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, groupby, pairwise, repeat
from math import log
from operator import add
from statistics import median_low
from typing import TYPE_CHECKING, Final, NamedTuple

from core import varints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HOUR_SECONDS: Final = 3_600
DAY_SECONDS: Final = 86_400

TENTH: Final = timedelta(milliseconds=100)
"""To this the moment of a result in an hour is exact; in a day, to ten of these."""

QUANTUM_MS: Final = 0.1
FINENESS: Final = 128
"""Latencies of an hour are exact to the larger of QUANTUM_MS and this part of their median."""

LONGEST_MS: Final = 600_000
"""Longer latencies of an hour are cut; no probe takes as long."""

GROWTH: Final = 1.05
LEAST_MS: Final = 0.25
"""Latencies of a day are steps of 5 %, from this on; 255 steps reach 63 seconds."""

_HOUR: Final = 1
_DAY: Final = 2
_DEFLATED: Final = 0x80
_SECONDS: Final = {_HOUR: HOUR_SECONDS, _DAY: DAY_SECONDS}
_UNITS: Final = {_HOUR: 1, _DAY: 10}
"""Tenths of a second in which moments are written."""
_LEVEL: Final = 6
_OK, _MANUAL, _HAS_STATUS = 1, 2, 4
_PHASES: Final = struct.Struct("<B4e")
_MOST_HALF: Final = 65_504.0
_LOG_GROWTH: Final = log(GROWTH)
# From so many ones on, a number stands as it is in so many bits.
_ESCAPE: Final = 12
_LONG_BITS: Final = 24
_LAST_STEP: Final = 255
_STEPS_MS: Final = tuple(round(LEAST_MS * GROWTH**step, 3) for step in range(_LAST_STEP + 1))
_SIGNED: Final = {
    unit: tuple(((number >> 1) ^ -(number & 1)) * unit for number in range(128))
    for unit in _UNITS.values()
}

PHASES_SECONDS: Final = {HOUR_SECONDS: HOUR_SECONDS, DAY_SECONDS: DAY_SECONDS // 4}
"""For how long a mean of the phases stands, in an hour and in a day."""

Means = tuple[float, float, float, float]
"""Name lookup, connection, TLS, first byte: means of good results, in ms."""


class UnreadableError(ValueError):
    """The bytes are no packed results, or of a format that is not known here."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at one moment; `failure` is a class such as timeout, empty if it was ok."""

    at: datetime
    ok: bool
    latency_ms: float
    manual: bool = False
    status_code: int | None = None
    failure: str = ""
    detail: str = ""


class Kind(NamedTuple):
    """What many results have in common."""

    ok: bool
    manual: bool
    status_code: int | None
    failure: str
    detail: str


@dataclass(slots=True)
class Columns:
    """Packed results side by side, in time order."""

    seconds: int
    tenths: list[int] = field(default_factory=list)
    """Moments, in tenths of a second since the begin of the chunk."""
    latencies_ms: list[float] = field(default_factory=list)
    runs: list[tuple[Kind, int]] = field(default_factory=list)
    """What follows one another, with how often."""
    phases: dict[int, Means] = field(default_factory=dict)
    """By part of the chunk, of PHASES_SECONDS; a part without phases is absent."""

    def first_from(self, tenth: int) -> int:
        """Return the place of the first result that is not before that tenth."""
        return bisect_left(self.tenths, tenth)

    def kinds(self) -> Iterator[Kind]:
        """Return the kind of each result."""
        for kind, times in self.runs:
            for _ in range(times):
                yield kind

    def found(self, start: datetime) -> list[Found]:
        """Return the results of a chunk that began then."""
        return [
            Found(start + tenth * TENTH, kind.ok, ms, *kind[1:])
            for tenth, ms, kind in zip(self.tenths, self.latencies_ms, self.kinds(), strict=True)
        ]


def tenth_of(at: datetime, start: datetime) -> int:
    """Return the tenth of a second since `start` in which a moment lies."""
    return (at - start) // TENTH


def pack(
    results: Sequence[Found],
    *,
    start: datetime,
    seconds: int,
    phases: Mapping[int, Means] | None = None,
) -> bytes:
    """Return results of one chunk as bytes; raises ValueError if one lies outside of it."""
    results = sorted(results, key=lambda found: found.at)
    tenths = [tenth_of(found.at, start) for found in results]
    if tenths and (tenths[0] < 0 or tenths[-1] >= seconds * 10):
        message = "A result lies outside of its chunk."
        raise ValueError(message)
    form = _DAY if seconds == DAY_SECONDS else _HOUR
    out = bytearray()
    varints.put(out, len(results))
    _put_phases(out, phases or {})
    _put_kinds(out, results)
    put = _put_signed if form == _DAY else _put_bits
    _put_times(out, [tenth // _UNITS[form] for tenth in tenths], put)
    latencies = [found.latency_ms for found in results]
    spent = bytearray()
    if form == _DAY:
        spent += bytes(map(_step, latencies))
    else:
        _put_latencies(spent, latencies)
    squeezer = zlib.compressobj(
        _LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED
    )
    small = squeezer.compress(out)
    if form == _DAY:
        # Moments and latencies are spelt differently: each gets a code of its own.
        small += squeezer.flush(zlib.Z_BLOCK)
    small += squeezer.compress(spent) + squeezer.flush()
    whole = out + spent
    # An hour may be too short to gain anything.
    return bytes([form | _DEFLATED]) + small if len(small) < len(whole) else bytes([form]) + whole


def columns(data: bytes, *, with_latencies: bool = True) -> Columns:
    """Read what `pack` wrote; raises UnreadableError for anything else.

    Who only counts leaves the latencies out, which take as long to read as everything else.
    """
    try:
        form = data[0] & ~_DEFLATED
        seconds = _SECONDS[form]
        body = zlib.decompress(data[1:], -zlib.MAX_WBITS) if data[0] & _DEFLATED else data[1:]
        read = _Reader(body)
        n = read.number()
        made = Columns(seconds, phases=_phases(read), runs=_runs(read))
        made.tenths = _times(read, n, form)
        if with_latencies:
            made.latencies_ms = _steps(read, n) if form == _DAY else _latencies(read, n)
    except (IndexError, KeyError, ValueError, struct.error, zlib.error) as error:
        message = "These bytes are no packed results that can be read here."
        raise UnreadableError(message) from error
    if sum(times for _, times in made.runs) != n or (with_latencies and read.rest):
        message = "These packed results are damaged."
        raise UnreadableError(message)
    return made


def unpack(data: bytes, start: datetime) -> list[Found]:
    """Return packed results in time order, exact as the constants of this module say."""
    return columns(data).found(start)


class _Reader:
    """Reads numbers and texts one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        if length > self.rest:
            raise IndexError
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self) -> int:
        number, self._at = varints.read(self._data, self._at)
        return number

    def text(self) -> str:
        return self.take(self.number()).decode()

    def signed(self, n: int, unit: int) -> list[int]:
        """Return `n` signed numbers of that unit, of a column that begins with its length."""
        column = self.take(self.number())
        if column.isascii():
            # Each is one byte.
            found = list(map(_SIGNED[unit].__getitem__, column))
        else:
            numbers = varints.numbers(column)
            found = [((number >> 1) ^ -(number & 1)) * unit for number in numbers]
        if len(found) != n:
            raise IndexError
        return found

    def bits(self, n: int) -> list[int]:
        """Return `n` signed numbers that were written as bits."""
        (rest,) = self.take(1)
        column = self.take(self.number())
        text = bin(int.from_bytes(b"\x01" + column))[3:]
        found, at = [], 0
        for _ in range(n):
            zero = text.find("0", at, at + _ESCAPE)
            if zero < 0:
                at += _ESCAPE + _LONG_BITS
                number = int(text[at - _LONG_BITS : at], 2)
            else:
                number, at = zero - at, zero + 1 + rest
                if rest:
                    number = number << rest | int(text[zero + 1 : at], 2)
            found.append((number >> 1) ^ -(number & 1))
        if at > len(text):
            raise IndexError
        return found


def _put_text(out: bytearray, text: str) -> None:
    encoded = text.encode(errors="replace")
    varints.put(out, len(encoded))
    out += encoded


def _put_signed(out: bytearray, numbers: Sequence[int]) -> None:
    """Append signed numbers as a column: small ones of either sign take one byte."""
    column = bytearray()
    for number in numbers:
        varints.put(column, number << 1 if number >= 0 else ~(number << 1))
    varints.put(out, len(column))
    out += column


def _put_bits(out: bytearray, numbers: Sequence[int]) -> None:
    """Append signed numbers as bits: each a count of ones, a zero, and the rest as it stands.

    It is how small numbers take the least, where there are too few of them to deflate.
    """
    folded = [number << 1 if number >= 0 else ~(number << 1) for number in numbers]
    usual = median_low(folded).bit_length() if folded else 0
    rests = range(max(usual - 2, 0), usual + 1)
    rest = min(rests, key=lambda bits: sum(bits + min(z >> bits, _LONG_BITS) for z in folded))
    parts = []
    for number in folded:
        ones = number >> rest
        if ones >= _ESCAPE:
            parts.append(f"{'1' * _ESCAPE}{number:0{_LONG_BITS}b}")
        else:
            low = f"{number & ((1 << rest) - 1):0{rest}b}" if rest else ""
            parts.append(f"{'1' * ones}0{low}")
    bits = "".join(parts)
    length = -(-len(bits) // 8)
    out.append(rest)
    varints.put(out, length)
    out += int(bits.ljust(length * 8, "0") or "0", 2).to_bytes(length)


def _put_phases(out: bytearray, phases: Mapping[int, Means]) -> None:
    told = {part: means for part, means in phases.items() if any(means)}
    varints.put(out, len(told))
    for part, means in sorted(told.items()):
        out += _PHASES.pack(part, *(min(mean, _MOST_HALF) for mean in means))


def _phases(read: _Reader) -> dict[int, Means]:
    found = {}
    for _ in range(read.number()):
        part, *means = _PHASES.unpack(read.take(_PHASES.size))
        found[part] = (means[0], means[1], means[2], means[3])
    return found


def _put_kinds(out: bytearray, results: Sequence[Found]) -> None:
    kinds = [
        Kind(found.ok, found.manual, found.status_code, found.failure, found.detail)
        for found in results
    ]
    numbers = {kind: number for number, (kind, _) in enumerate(Counter(kinds).most_common())}
    varints.put(out, len(numbers))
    for kind in numbers:
        has_status = kind.status_code is not None
        out.append(
            (_OK if kind.ok else 0)
            | (_MANUAL if kind.manual else 0)
            | (_HAS_STATUS if has_status else 0)
        )
        if kind.status_code is not None:
            varints.put(out, kind.status_code)
        _put_text(out, kind.failure)
        _put_text(out, kind.detail)
    runs = [(numbers[kind], len(list(same))) for kind, same in groupby(kinds)]
    varints.put(out, len(runs))
    for number, times in runs:
        varints.put(out, number)
        varints.put(out, times)


def _runs(read: _Reader) -> list[tuple[Kind, int]]:
    kinds = []
    for _ in range(read.number()):
        (flags,) = read.take(1)
        status = read.number() if flags & _HAS_STATUS else None
        kinds.append(
            Kind(bool(flags & _OK), bool(flags & _MANUAL), status, read.text(), read.text())
        )
    return [(kinds[read.number()], read.number()) for _ in range(read.number())]


def _put_times(
    out: bytearray, times: Sequence[int], put: Callable[[bytearray, Sequence[int]], None]
) -> None:
    """Append moments, in units, as what each is early or late after the one before it."""
    if not times:
        return
    steps = [after - before for before, after in pairwise(times)]
    beat = median_low(steps) if steps else 0
    varints.put(out, times[0])
    varints.put(out, beat)
    put(out, [step - beat for step in steps])


def _times(read: _Reader, n: int, form: int) -> list[int]:
    """Return moments in tenths of a second."""
    if not n:
        return []
    unit = _UNITS[form]
    first, beat = read.number() * unit, read.number() * unit
    delays = read.signed(n - 1, unit) if form == _DAY else read.bits(n - 1)
    regular = range(0, n * beat, beat) if beat else repeat(0, n)
    return list(map(add, accumulate(delays, initial=first), regular))


def _put_latencies(out: bytearray, latencies: Sequence[float]) -> None:
    """Append latencies as distances from their median, in units that suit it."""
    if not latencies:
        return
    latencies = [min(ms, LONGEST_MS) for ms in latencies]
    typical = median_low(latencies)
    doubled = max(int(typical / QUANTUM_MS / FINENESS).bit_length() - 1, 0)
    unit = QUANTUM_MS * 2**doubled
    level = round(typical / unit)
    varints.put(out, doubled)
    varints.put(out, level)
    _put_bits(out, [round(ms / unit) - level for ms in latencies])


def _latencies(read: _Reader, n: int) -> list[float]:
    if not n:
        return []
    unit, level = 2 ** read.number(), read.number()
    # Whole tenths first: 0.1 times a number is not always the nearest to what people write.
    return [(level + far) * unit / 10 for far in read.bits(n)]


def _step(ms: float) -> int:
    return min(max(round(log(max(ms, LEAST_MS) / LEAST_MS) / _LOG_GROWTH), 0), _LAST_STEP)


def _steps(read: _Reader, n: int) -> list[float]:
    return list(map(_STEPS_MS.__getitem__, read.take(n)))
