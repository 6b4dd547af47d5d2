"""The first admin: made once, with a random password that is told once (SPEC A9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Bootstrap, User
from accounts.services.users import create_user, reset_password

if TYPE_CHECKING:
    from core.actors import Actor

NAME: Final = "admin"


def create_first_admin(*, actor: Actor) -> tuple[User, str] | None:
    """Create the first admin, or give one who never signed in a new password once the old ran out.

    Returns the user and the password to tell, or None when there is nothing to do. Of processes
    that start at once, one makes the admin.
    """
    waiting = User.objects.filter(
        must_change_password=True, password_expires_at__lte=timezone.now()
    )
    if Bootstrap.objects.exists():
        if User.objects.count() == 1 and (user := waiting.first()) is not None:
            return user, reset_password(actor=actor, user_id=user.pk)
        return None
    try:
        with transaction.atomic():
            Bootstrap.objects.create(pk=1)
            if User.objects.exists():
                return None
            return create_user(actor=actor, username=NAME, roles=["admin"])
    except IntegrityError:
        return None
