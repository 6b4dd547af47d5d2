"""Counts of durations in buckets that grow by two hundredths: small, mergeable, any percentile."""

from __future__ import annotations

import struct
from bisect import bisect_right
from itertools import accumulate
from math import ceil, floor, log
from typing import TYPE_CHECKING, Final, Self

from core import varints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GROWTH: Final = 1.02
LEAST_MS: Final = 0.01
LONGEST_MS: Final = 1e9

_LOG_GROWTH: Final = log(GROWTH)
_LAST: Final = floor(log(LONGEST_MS / LEAST_MS) / _LOG_GROWTH) + 1
_FORMAT: Final = 1
_HEAD: Final = struct.Struct("<Bdd")


def bucket_of(value_ms: float) -> int:
    """Return the bucket of a value; 0 holds what is too short to be told apart from nothing."""
    if value_ms <= LEAST_MS:
        return 0
    return min(floor(log(value_ms / LEAST_MS) / _LOG_GROWTH) + 1, _LAST)


def value_of(bucket: int) -> float:
    """Return the value that stands for a bucket; nothing in it is further away than 1 %."""
    if bucket == 0:
        return 0.0
    return float(LEAST_MS * GROWTH ** (bucket - 0.5))


class Histogram:
    """How often which durations occurred.

    Counts, sum and maximum are exact; a quantile is off by 1 % at most. Merging histograms gives
    what one histogram of all values would be.
    """

    __slots__ = ("buckets", "most", "sum")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.buckets: dict[int, int] = {}
        self.sum = 0.0
        self.most = 0.0
        for value in values:
            self.add(value)

    @classmethod
    def of_buckets(cls, buckets: Mapping[int, int], *, total_ms: float, most_ms: float) -> Self:
        """Return the histogram of values that were counted elsewhere, by `bucket_of`."""
        made = cls()
        made.buckets = {bucket: n for bucket, n in buckets.items() if n}
        made.sum = total_ms
        made.most = most_ms
        return made

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.buckets.values())

    def add(self, value_ms: float, n: int = 1) -> None:
        """Count a value `n` times."""
        bucket = bucket_of(value_ms)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + n
        self.sum += value_ms * n
        self.most = max(self.most, value_ms)

    def merge(self, other: Histogram) -> None:
        """Count everything that another histogram counted."""
        buckets = self.buckets
        for bucket, n in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + n
        self.sum += other.sum
        self.most = max(self.most, other.most)

    def quantile(self, q: float) -> float | None:
        """Return the least value that the share `q` does not exceed; None without any value."""
        count = self.count
        if not count:
            return None
        wanted = max(ceil(q * count), 1)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                break
        # The middle of the topmost bucket may lie above everything that was counted.
        return self.most if seen == count else min(value_of(bucket), self.most)

    def over(self, threshold_ms: float) -> int:
        """Return how many values are above the threshold; those of its own bucket are not."""
        limit = bucket_of(threshold_ms)
        return sum(n for bucket, n in self.buckets.items() if bucket > limit)

    def to_bytes(self) -> bytes:
        """Return the histogram in some two bytes a bucket, see docs/results-format.md."""
        out = bytearray(_HEAD.pack(_FORMAT, self.sum, self.most))
        before = 0
        for bucket in sorted(self.buckets):
            varints.put(out, bucket - before)
            varints.put(out, self.buckets[bucket])
            before = bucket
        return bytes(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote; raises ValueError for anything else."""
        made = cls()
        if data:
            made.sum, made.most, buckets, counts = _read(data)
            made.buckets = dict(zip(buckets, counts, strict=True))
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.buckets == other.buckets and self.most == other.most

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values up to {self.most} ms>"


def over_in(data: bytes, threshold_ms: float) -> int:
    """Return what `Histogram.from_bytes(data).over(threshold_ms)` would, several times as fast."""
    if not data:
        return 0
    limit = bucket_of(threshold_ms)
    if len(data) >= _HEAD.size:
        form, _, most = _HEAD.unpack_from(data)
        if form == _FORMAT and bucket_of(most) <= limit:
            return 0
    _, _, buckets, counts = _read(data)
    return sum(counts[bisect_right(buckets, limit) :])


def _read(data: bytes) -> tuple[float, float, list[int], list[int]]:
    """Return sum, maximum, buckets in their order, and how often each occurred."""
    try:
        form, total, most = _HEAD.unpack_from(data)
    except struct.error as error:
        message = "These bytes are no histogram."
        raise ValueError(message) from error
    if form != _FORMAT:
        message = f"Histograms of format {form} cannot be read; this one is too new."
        raise ValueError(message)
    numbers = varints.numbers(data[_HEAD.size :])
    if len(numbers) % 2:
        message = "These bytes are no whole histogram."
        raise ValueError(message)
    return total, most, list(accumulate(numbers[::2])), numbers[1::2]
