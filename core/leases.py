"""Leases: one holder at a time, fenced by a token, judged by the database's clock."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.functions import Now

from core.errors import DomainError
from core.models import Lease

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable


class LeaseLostError(DomainError):
    """Somebody else holds the lease now: what was about to be written must not be."""

    code = "lease-lost"
    status = 409
    title = "The lease was lost"


@dataclass(frozen=True, slots=True)
class Held:
    """Proof of holding a lease: writes carry the token, and an old token is refused."""

    name: str
    holder: str
    token: int


def new_holder() -> str:
    """Return a name for this process and this attempt; a restarted process is another holder."""
    return f"{_machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def acquire(*, name: str, seconds: float, holder: str | None = None) -> Held | None:
    """Take the lease if it is free or has run out; return None while another holds it."""
    holder = holder or new_holder()
    if not Lease.objects.filter(name=name).exists():
        _create(name)
    # An end further away than anybody asks for was set before the clock stepped back.
    free = Q(until__lt=Now()) | Q(holder="") | Q(until__gt=_from_now(seconds * 2))
    with transaction.atomic():
        taken = Lease.objects.filter(free, name=name).update(
            holder=holder, token=F("token") + 1, until=_from_now(seconds)
        )
        if not taken:
            return None
        return Held(name, holder, Lease.objects.values_list("token", flat=True).get(name=name))


def renew(held: Held, *, seconds: float) -> bool:
    """Hold on for so many seconds from now; False if another took the lease meanwhile."""
    return bool(_of(held).update(until=_from_now(seconds)))


def fence(held: Held) -> None:
    """Inside a transaction, make sure that the lease stays ours until it commits.

    Raises LeaseLostError. The update locks the row, so a successor waits for this transaction.
    """
    if not connection.in_atomic_block:
        message = "fence() guards a transaction; call it inside one."
        raise RuntimeError(message)
    if not _of(held).update(holder=held.holder):
        message = f"The lease {held.name} belongs to another process now."
        raise LeaseLostError(message)


def release(held: Held) -> None:
    """Give the lease back so that a successor need not wait for its end."""
    _of(held).update(holder="", until=Now())


def release_of_the_dead() -> int:
    """Free the leases of processes that died on this machine; return how many.

    After a kill the successor would otherwise wait for the lease to run out. Another machine or
    container cannot be asked, so its leases end by themselves.
    """
    freed = 0
    prefix = f"{_machine()}:"
    for name, holder in Lease.objects.filter(holder__startswith=prefix).values_list(
        "name", "holder"
    ):
        if not Path(f"/proc/{holder.removeprefix(prefix).partition(':')[0]}").exists():
            freed += Lease.objects.filter(name=name, holder=holder).update(holder="", until=Now())
    return freed


def _machine() -> str:
    """Return a name for this machine and this space of process ids."""
    return f"{settings.HOSTNAME}:{Path('/proc/self/ns/pid').stat().st_ino}"


def is_held(*, name: str) -> bool:
    """Tell whether anybody holds the lease now."""
    return Lease.objects.filter(name=name, until__gte=Now()).exclude(holder="").exists()


def was_held(*, name: str, within: timedelta) -> bool:
    """Tell whether anybody holds the lease, or did within this time."""
    since = ExpressionWrapper(Now() - Value(within), output_field=DateTimeField())
    return Lease.objects.filter(name=name, until__gte=since).exists()


def _of(held: Held) -> QuerySet[Lease]:
    return Lease.objects.filter(name=held.name, holder=held.holder, token=held.token)


def _create(name: str) -> None:
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, until=Now())
    except IntegrityError:
        # Two processes started at once; the row of the other serves both.
        return


def _from_now(seconds: float) -> Combinable:
    later = Now() + Value(timedelta(seconds=seconds))
    return ExpressionWrapper(later, output_field=DateTimeField())
