"""People who sign in."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    """Finds people by name without regard to case."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user of that name, in any case."""
        return self.get(username=self.model.normalize_username(username or ""))

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> User:  # noqa: ANN401  # the model's fields
        """Create a user past the audited services; for tests and tools only."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """One person; what they may do comes from their groups."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(
        max_length=150,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        help_text="Letters, digits and @ . + - _ only; case does not matter.",
        error_messages={"unique": "There is a user of this name."},
    )
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(
        "active", default=True, help_text="A person who may not sign in is kept for the record."
    )
    is_staff = models.BooleanField("console", default=False, editable=False)
    must_change_password = models.BooleanField(default=False, editable=False)
    password_changed_at = models.DateTimeField(null=True, editable=False)
    password_expires_at = models.DateTimeField(null=True, editable=False)
    password_judged = models.CharField(
        max_length=32,
        default="",
        editable=False,
        help_text="A mark of the password that was last compared with default ones.",
    )
    disabled_at = models.DateTimeField(null=True, editable=False)
    epoch = models.PositiveIntegerField(
        default=0, editable=False, help_text="Counts how often all sign-ins were ended."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    one_time_password: str = ""
    """For showing once, right after it was made; never stored."""

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering = ["username"]
        permissions = [("disable_user", "Can keep people from signing in")]

    def __str__(self) -> str:
        return self.username

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return the one spelling under which the name is stored and looked up (NFKC, folded)."""
        return super().normalize_username(username).casefold()
