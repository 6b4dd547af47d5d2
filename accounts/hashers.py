"""Password hashing with bounded memory."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

from core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE: Final = 4
WAIT_SECONDS: Final = 2.0

_turns: Final = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one of the few places in which this process computes hashes; raises BusyError."""
    if not _turns.acquire(timeout=WAIT_SECONDS):
        message = "Many people are signing in just now. Try again in a few seconds."
        raise BusyError(message, retry_after=2)
    try:
        yield
    finally:
        _turns.release()


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
        with turn():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> Any:  # noqa: ANN401  # the same
        """Tell whether the password belongs to the hash."""
        with turn():
            return super().verify(password, encoded)
