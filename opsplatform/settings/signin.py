"""Limits and costs of signing in."""

from opsplatform.env import ENV

ENV.section("Signing in")
OPS_LOCKOUT_ADDRESS_FAILURES = ENV.integer(
    "OPS_LOCKOUT_ADDRESS_FAILURES",
    default=5,
    minimum=5,
    maximum=10_000,
    about="Wrong passwords and codes from one address, over all accounts, before it must wait "
    "15 minutes. Raise it when many people share an address.",
)
OPS_ARGON2_MEMORY_KIB = ENV.integer(
    "OPS_ARGON2_MEMORY_KIB",
    default=19 * 1024,
    minimum=8 * 1024,
    maximum=1024 * 1024,
    about="Memory of one password hash. Up to four are computed at once by a process.",
)
OPS_ARGON2_PASSES = ENV.integer(
    "OPS_ARGON2_PASSES", default=2, minimum=1, maximum=20, about="Passes of one password hash."
)
OPS_ARGON2_LANES = ENV.integer(
    "OPS_ARGON2_LANES", default=1, minimum=1, maximum=16, about="Lanes of one password hash."
)
OPS_BREACHED_PASSWORDS = ENV.text(
    "OPS_BREACHED_PASSWORDS",
    default="",
    about="Passwords known from breaches, which are refused: one file sorted by SHA-1, as Have I "
    "Been Pwned offers it, or a folder of its range files. Nothing is asked over the network.",
)
