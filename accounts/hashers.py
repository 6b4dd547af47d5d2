"""Password hashing with bounded memory."""

import threading
from typing import Any, ClassVar

from django.contrib.auth.hashers import Argon2PasswordHasher


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet).

    Django's own parameters take 100 MiB a login: a few at once exhaust a small machine. Two hashes
    at once are computed by a process; others wait their turn.
    """

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1

    _turns: ClassVar = threading.BoundedSemaphore(2)

    def encode(self, password: str, salt: str) -> Any:  # noqa: ANN401  # untyped in Django's stubs
        """Return the encoded hash."""
        with self._turns:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> Any:  # noqa: ANN401  # the same
        """Tell whether the password belongs to the hash."""
        with self._turns:
            return super().verify(password, encoded)
