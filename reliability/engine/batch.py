"""What the prober found, until it is stored."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reliability.engine.probe import Result, Target
from reliability.engine.strikes import Shift, Tracker

MAX_BUFFERED_RESULTS = 50_000


@dataclass(frozen=True, slots=True)
class Flip:
    """A shift together with the result that caused it."""

    check_id: int
    config_version: int
    shift: Shift
    result: Result


@dataclass(slots=True)
class Batch:
    """What is to be stored: results may be dropped when there are too many, flips never."""

    results: deque[Result] = field(default_factory=lambda: deque(maxlen=MAX_BUFFERED_RESULTS))
    trackers: dict[int, tuple[int, Tracker]] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.results or self.trackers or self.flips)

    @property
    def check_ids(self) -> set[int]:
        """Every check that the batch tells about."""
        found = {result.check_id for result in self.results} | self.trackers.keys()
        return found | {flip.check_id for flip in self.flips}

    def note(
        self, target: Target, tracker: Tracker, shifts: Iterable[Shift], result: Result
    ) -> None:
        """Add one result with what it led to."""
        self.results.append(result)
        self.trackers[target.check_id] = (target.config_version, tracker)
        self.flips.extend(
            Flip(target.check_id, target.config_version, shift, result) for shift in shifts
        )

    def drop(self, key: int) -> None:
        """Forget what a check is thought to be; its results stay.

        A flip without the state that it led to would leave the two apart.
        """
        if self.trackers.pop(key, None) is not None:
            self.flips = [flip for flip in self.flips if flip.check_id != key]

    def parts(self, *, most_checks: int, most_flips: int) -> Iterator["Batch"]:
        """Divide the batch so that each part can be stored on its own.

        Everything about one check stays together: a state must not be stored without its flips.
        """
        results: defaultdict[int, list[Result]] = defaultdict(list)
        flips: defaultdict[int, list[Flip]] = defaultdict(list)
        for result in self.results:
            results[result.check_id].append(result)
        for flip in self.flips:
            flips[flip.check_id].append(flip)
        part, checks = Batch(), 0
        for key in self.check_ids:
            if part and (checks == most_checks or len(part.flips) + len(flips[key]) > most_flips):
                yield part
                part, checks = Batch(), 0
            part.results.extend(results[key])
            part.flips.extend(flips[key])
            if key in self.trackers:
                part.trackers[key] = self.trackers[key]
            checks += 1
        if part:
            yield part

    def prepend(self, earlier: "Batch") -> None:
        """Put back what could not be stored; the oldest results give way if there is no room."""
        room = MAX_BUFFERED_RESULTS - len(self.results)
        newest_first = reversed(earlier.results)
        self.results.extendleft(
            result for result, _ in zip(newest_first, range(room), strict=False)
        )
        self.trackers = earlier.trackers | self.trackers
        self.flips = earlier.flips + self.flips
