"""The first admin: made once, with a random password that is told once (SPEC A9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils import timezone

from accounts.models import Installation, User
from accounts.services.installations import ensure
from accounts.services.users import create_user, reset_password
from audit.services.acts import audited
from audit.services.records import record

if TYPE_CHECKING:
    from core.actors import Actor

NAME: Final = "admin"


@audited
def create_first_admin(*, actor: Actor) -> tuple[User, str] | None:
    """Create the first admin, or give one who never signed in another password.

    A start may fail between making the admin and telling the password, so the password is made anew
    until somebody has used it. Returns the user and the password to tell, or None when there is
    nothing to do. Of processes that start at once, one makes the admin.
    """
    installation = ensure()
    unclaimed = Installation.objects.filter(pk=1, first_admin_at=None)
    if unclaimed.update(first_admin_at=timezone.now()):
        if not User.objects.exists():
            return create_user(actor=actor, username=NAME, roles=["admin"])
        record(actor=actor, action="first_admin.waived", target=installation)
    people = list(User.objects.all()[:2])
    if len(people) == 1 and people[0].must_change_password and people[0].last_login is None:
        return people[0], reset_password(actor=actor, user_id=people[0].pk)
    return None
