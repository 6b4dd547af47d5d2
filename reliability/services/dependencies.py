"""Which checks explain the failures of others: parents, without cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection

from core.errors import InvalidInputError
from reliability.models import Check

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MOST_PARENTS: Final = 20

# One writer at a time: two edits at once could close a circle that neither of them sees.
_LOCK: Final = 0x0B5_C4EC


def parents_of(check: Check) -> list[int]:
    """Return the parents of a stored check by their numbers."""
    return sorted(
        check.parents.through.objects.filter(from_check=check).values_list("to_check", flat=True)
    )


def depend(check: Check, parent_ids: Iterable[int]) -> None:
    """Make a stored check depend on these and no others, in the caller's transaction.

    Raises InvalidInputError for what does not exist and for what depends on the check itself.
    """
    wanted = set(parent_ids)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if len(wanted) > MOST_PARENTS:
        _refuse(f"Give at most {MOST_PARENTS} parents.")
    found = set(Check.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    if missing := wanted - found:
        _refuse(f"There is no check {min(missing)}.")
    if circle := _above(wanted) & {check.pk}:
        name = Check.objects.select_related("service").defer("headers").get(pk=circle.pop())
        _refuse(f"“{name}” would depend on itself: one of these checks depends on it.")
    check.parents.set(wanted)


def _above(start: Collection[int]) -> set[int]:
    """Return these checks and everything that they depend on; one query a storey."""
    links = Check.parents.through.objects
    seen: set[int] = set()
    edge = set(start)
    while edge:
        seen |= edge
        edge = set(links.filter(from_check__in=edge).values_list("to_check", flat=True)) - seen
    return seen


def _refuse(message: str) -> None:
    raise InvalidInputError(message, errors={"parents": [message]})
