"""Bind a database to the keyring that opens what is sealed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings

from accounts.models import Installation
from accounts.services.buckets import PEPPER
from audit.services.acts import audited, unwatched
from audit.services.records import record
from core import crypto
from core.errors import NotConfiguredError
from core.fields import FIELD_KEY

if TYPE_CHECKING:
    from core.actors import Actor

# A secret that is never rotated: it names the ring itself.
_NAME: Final = "INSTALLATION_KEY"


@audited
def claim(*, actor: Actor, adopt: bool = False) -> None:
    """Claim the database for this keyring, or make sure that it is the one that claimed it.

    Machines that share a database share the keyring; with another one, sessions and sealed settings
    of one machine would be unreadable on the next. `adopt` accepts a new keyring after the old one
    was lost. Raises NotConfiguredError.
    """
    # Made now and not at first use: a copy of the ring taken today then opens what is sealed later.
    settings.KEYRING.ensure(FIELD_KEY)
    settings.KEYRING.ensure(PEPPER)
    keyring_id = crypto.key_id(settings.KEYRING.ensure(_NAME))
    installation = ensure()
    if installation.keyring_id == keyring_id:
        return
    if installation.keyring_id and not adopt:
        message = (
            "The database belongs to another keyring. Copy the folder secrets/runtime of the "
            "machine that uses it here, or name a shared one in OPS_KEYRING_DIR. If that keyring "
            "is lost: manage.py prepare --adopt-keyring, then enter sealed settings again."
        )
        raise NotConfiguredError(message)
    before = {"keyring_id": installation.keyring_id}
    installation.keyring_id = keyring_id
    installation.save(update_fields=["keyring_id"])
    record(
        actor=actor,
        action="keyring.adopted",
        target=installation,
        before=before,
        after={"keyring_id": keyring_id},
    )


def ensure() -> Installation:
    """Return the row of the platform as a whole; the first to ask makes it."""
    found = Installation.objects.filter(pk=1).first()
    if found is not None:
        return found
    with unwatched("the one row, with its defaults, says nothing yet"):
        return Installation.objects.get_or_create(pk=1)[0]
