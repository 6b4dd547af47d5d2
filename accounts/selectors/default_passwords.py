"""Who of the console has a password that everybody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib.auth.hashers import verify_password
from django.db.models import Q

from accounts.models import User

if TYPE_CHECKING:
    from django.db.models import QuerySet

# What machines and products come with; all but a few break the rules of today, so that only
# imported or raw-written hashes can hold them.
_DEFAULTS: Final = (
    "admin",
    "administrator",
    "changeme",
    "changeit",
    "default",
    "letmein",
    "opsplatform",
    "ops",
    "operator",
    "pass",
    "passw0rd",
    "password",
    "password1",
    "password123",
    "qwerty",
    "root",
    "secret",
    "test",
    "toor",
    "123456",
)


def people() -> QuerySet[User]:
    """Return who may sign in to the console."""
    console = Q(is_staff=True) | Q(is_superuser=True)
    return User.objects.filter(console, is_active=True).order_by("username")


def is_one(user: User) -> bool:
    """Tell whether somebody can be signed in as with a default password; some twenty hashes."""
    return any(verify_password(word, user.password)[0] for word in (*_DEFAULTS, user.username))
