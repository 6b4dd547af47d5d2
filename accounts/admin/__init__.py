"""Access in the console."""

from accounts.admin import (
    dashboard_keys,
    keys,
    networks,
    reviews,
    revocations,
    roles,
    sessions,
    signing_keys,
    users,
)

__all__ = [
    "dashboard_keys",
    "keys",
    "networks",
    "reviews",
    "revocations",
    "roles",
    "sessions",
    "signing_keys",
    "users",
]
