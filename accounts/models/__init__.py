"""Who may sign in."""

from accounts.models.installations import Installation
from accounts.models.users import User, UserManager

__all__ = ["Installation", "User", "UserManager"]
