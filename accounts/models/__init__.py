"""Who may sign in."""

from accounts.models.bootstrap import Bootstrap
from accounts.models.users import User, UserManager

__all__ = ["Bootstrap", "User", "UserManager"]
