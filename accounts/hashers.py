"""Password hashing with bounded memory."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet).

    Django's own parameters take 100 MiB a login: a few at once exhaust a small machine.
    """

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1
