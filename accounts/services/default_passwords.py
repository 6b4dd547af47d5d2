"""Looking for passwords that everybody knows whenever passwords have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings

from accounts import signals
from accounts.models import User
from accounts.selectors import default_passwords
from accounts.services.buckets import PEPPER
from audit.services.acts import audited
from audit.services.records import record
from core import crypto

if TYPE_CHECKING:
    from core.actors import Actor

MOST_AT_ONCE: Final = 10
_MARK_CHARACTERS: Final = 32


def judge_changed(*, actor: Actor) -> list[str]:
    """Judge the passwords that changed since they were judged; return whose are default ones.

    Ten people at once: the others' turn comes with the next run. What is found is alerted once.
    """
    waiting = (user for user in default_passwords.people() if user.password_judged != _mark(user))
    found = []
    for user, _ in zip(waiting, range(MOST_AT_ONCE), strict=False):
        if default_passwords.is_one(user):
            found.append(user.username)
            _tell(actor=actor, user=user)
        # Whoever chose another password meanwhile is judged again.
        User.objects.filter(pk=user.pk, password=user.password).update(password_judged=_mark(user))
    return found


@audited
def _tell(*, actor: Actor, user: User) -> None:
    record(actor=actor, action="password.found_default", target=user)
    signals.tell(signals.default_password, user_id=user.pk, name=user.username)


def _mark(user: User) -> str:
    secret = settings.KEYRING.ensure(PEPPER)
    return crypto.keyed_digest(secret, f"judged\0{user.password}").hex()[:_MARK_CHARACTERS]
