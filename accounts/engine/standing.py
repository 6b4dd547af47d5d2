"""What is no longer valid, as sets in memory; and what has to be read anew."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Listener = Callable[[str], None]

SESSION: Final = "sid"
TOKEN: Final = "jti"  # noqa: S105  # the name of a claim
SIGNING_KEY: Final = "kid"
API_KEY: Final = "apikey"
DASHBOARD_KEY: Final = "dashkey"

_ENDING: Final = (SESSION, TOKEN, SIGNING_KEY, API_KEY, DASHBOARD_KEY)


class Standing:
    """Sets of what has ended, by kind; a check is a look into a set.

    Kinds that end nothing by themselves, such as changed rights, drop what is remembered: each
    counts up in `versions`, and whoever remembers something listens or compares.
    """

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.tokens: set[str] = set()
        self.signing_keys: set[str] = set()
        self.api_keys: set[str] = set()
        self.dashboard_keys: set[str] = set()
        self.versions: Counter[str] = Counter()
        self._listeners: dict[str, list[Listener]] = {}
        self._everything: list[Callable[[], None]] = []

    def listen(self, kind: str, listener: Listener) -> None:
        """Call with the value of each change of this kind."""
        self._listeners.setdefault(kind, []).append(listener)

    def listen_to_restore(self, listener: Callable[[], None]) -> None:
        """Call whenever everything was read anew, so that nothing remembered is trusted longer."""
        self._everything.append(listener)

    def apply(self, kind: str, value: str) -> None:
        """Take one change over; a second time does no harm."""
        ended = self._set_of(kind)
        if ended is not None:
            ended.add(value)
        self.versions[kind] += 1
        for listener in self._listeners.get(kind, ()):
            listener(value)

    def restore(self, alive: Iterable[tuple[str, str]]) -> None:
        """Begin anew with all changes that still matter; checks never see half of them."""
        found: dict[str, set[str]] = {kind: set() for kind in _ENDING}
        others: set[str] = set()
        for kind, value in alive:
            if kind in found:
                found[kind].add(value)
            else:
                others.add(kind)
        # One store for each name: whoever checks meanwhile has the old set or the new one, and
        # what both hold never seems valid in between.
        self.sessions = found[SESSION]
        self.tokens = found[TOKEN]
        self.signing_keys = found[SIGNING_KEY]
        self.api_keys = found[API_KEY]
        self.dashboard_keys = found[DASHBOARD_KEY]
        for kind in {*self.versions, *_ENDING, *others}:
            self.versions[kind] += 1
        for listener in self._everything:
            listener()

    def is_ended(self, *, sid: str = "", jti: str = "", kid: str = "") -> bool:
        """Tell whether a session, a token or the key that signed it has ended."""
        return sid in self.sessions or jti in self.tokens or kid in self.signing_keys

    def _set_of(self, kind: str) -> set[str] | None:
        match kind:
            case "sid":
                return self.sessions
            case "jti":
                return self.tokens
            case "kid":
                return self.signing_keys
            case "apikey":
                return self.api_keys
            case "dashkey":
                return self.dashboard_keys
        return None
