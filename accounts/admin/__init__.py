"""Access in the console."""

from accounts.admin import dashboard_keys, keys, networks, reviews, roles, sessions, users

__all__ = ["dashboard_keys", "keys", "networks", "reviews", "roles", "sessions", "users"]
