"""Password hashing with bounded memory."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# More than there are processors would end no sooner, and take 19 MiB each.
AT_ONCE: Final = max(2, min(4, os.cpu_count() or 2))
WAIT_SECONDS: Final = 2.0


class _Turns:
    """The few places; a forked process has all of its own, whoever computed at the fork."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self.places = threading.BoundedSemaphore(AT_ONCE)


_turns: Final = _Turns()
# The C library keeps what a thread has freed for that thread: eight request threads would keep
# 152 MiB, these keep 38, and need not ask the system for the pages anew.
_workers: list[ThreadPoolExecutor] = []
os.register_at_fork(after_in_child=_workers.clear)


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one of the few places in which this process computes hashes; raises BusyError."""
    # Held by name: the fork of another thread may put others in their place meanwhile.
    places = _turns.places
    if not places.acquire(timeout=WAIT_SECONDS):
        message = "Many people are signing in just now. Try again in a few seconds."
        raise BusyError(message, retry_after=2)
    try:
        yield
    finally:
        places.release()


def _compute(work: Callable[..., Any], *args: str) -> Any:  # noqa: ANN401  # what the work returns
    with turn():
        if not _workers:
            _workers.append(ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hash"))
        return _workers[0].submit(work, *args).result()


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet), or as set.

    Django's own parameters take 100 MiB a login: a few at once exhaust a small machine. Few hashes
    at once are computed by a process; others wait their turn, and are sent away after two seconds.
    """

    memory_cost = settings.OPS_ARGON2_MEMORY_KIB
    time_cost = settings.OPS_ARGON2_PASSES
    parallelism = settings.OPS_ARGON2_LANES

    def encode(self, password: str, salt: str) -> Any:  # noqa: ANN401  # untyped in Django's stubs
        """Return the encoded hash."""
        return _compute(super().encode, password, salt)

    def verify(self, password: str, encoded: str) -> Any:  # noqa: ANN401  # the same
        """Tell whether the password belongs to the hash."""
        return _compute(super().verify, password, encoded)
