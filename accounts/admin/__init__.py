"""Access in the console."""

from accounts.admin import roles, users

__all__ = ["roles", "users"]
