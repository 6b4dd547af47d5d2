"""Whether a target changes its mind too often to be told each time."""

from typing import Final

RESULTS: Final = 21
ENTERS: Final = 0.5
LEAVES: Final = 0.25

_TURNS: Final = RESULTS - 1
_MASK: Final = (1 << _TURNS) - 1
# What changed just now says more than what changed long ago: from 1.2 down to 0.8.
_WEIGHTS: Final = tuple(1.2 - 0.4 * age / (_TURNS - 1) for age in range(_TURNS))
_TOTAL: Final = sum(_WEIGHTS)


def remember(changes: int, *, differs: bool) -> int:
    """Add whether the newest result differs from the one before it; the newest bit is lowest."""
    return ((changes << 1) | differs) & _MASK


def share(changes: int) -> float:
    """Return how much of the last results were changes, from 0 to 1, the newest weighing most."""
    if not changes:
        return 0.0
    return sum(weight for age, weight in enumerate(_WEIGHTS) if changes >> age & 1) / _TOTAL


def flaps(changes: int, *, was_flapping: bool) -> bool:
    """Tell whether a target flaps; it takes more to begin than to go on."""
    found = share(changes)
    return found > LEAVES if was_flapping else found >= ENTERS
