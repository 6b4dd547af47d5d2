"""Who may come in from where: refuse an address, and change the lists (SPEC A10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from django.contrib.auth.models import Group

from accounts.engine.networks import allows, parse
from accounts.models import AccessChange, Installation, RolePolicy
from accounts.roles import ADMIN
from accounts.selectors import networks as remembered
from accounts.selectors import people
from accounts.services.installations import ensure
from accounts.services.revocation import tell
from audit.services.acts import audited
from audit.services.records import changes, record
from core import tracing
from core.errors import ForbiddenError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from accounts.engine.snapshots import Snapshot
    from core.actors import Actor


class AddressRefusedError(ForbiddenError):
    """The request comes from a network that is not on the list."""

    code = "address-refused"
    title = "Not from this network"


def refuse_address(
    *, place: Literal["console", "login"], snapshot: Snapshot | None, address: str
) -> None:
    """Raise AddressRefusedError when the person may not come in from there.

    The lists of a person's roles are the more specific ones: who has any is judged by them, and in
    each of them the address must stand. Everybody else is judged by the console's list, in the
    console. Without a snapshot nobody is known yet: then it is enough that somebody may come in.
    """
    if snapshot is not None and snapshot.networks:
        if not all(allows(networks, address) for networks in snapshot.networks):
            raise refused(address)
        return
    if place != "console":
        return
    lists = remembered.lists()
    if not lists.console or allows(lists.console, address):
        return
    if snapshot is None and lists.let_somebody_in(address):
        return
    raise refused(address)


def refused(address: str) -> AddressRefusedError:
    """Return the error that says which address was refused and what to do."""
    message = (
        f"Your address {address or 'is unknown, which'} is not on the list of allowed networks. "
        "Come in from an allowed network, or ask an admin to add this one."
    )
    return AddressRefusedError(message)


def cleaned(texts: Iterable[str]) -> list[str]:
    """Return networks as they are stored; raises InvalidInputError that names the wrong entry."""
    try:
        return list(parse(texts))
    except ValueError as error:
        message = str(error)
        raise InvalidInputError(message, errors={"networks": [message]}) from None


@audited
def set_console_networks(*, actor: Actor, networks: Iterable[str]) -> None:
    """Limit the console to these networks; raises InvalidInputError if the author is outside."""
    wanted = cleaned(networks)
    _refuse_excluding_author(wanted)
    ensure()
    installation = Installation.objects.select_for_update().get(pk=1)
    old, new = changes({"networks": installation.console_networks}, {"networks": wanted})
    if not new:
        return
    Installation.objects.filter(pk=1).update(console_networks=wanted)
    record(
        actor=actor, action="console_networks.updated", target=installation, before=old, after=new
    )
    _tell(actor, "The console's networks changed.")


@audited
def set_role_policy(
    *, actor: Actor, group_id: int, mfa_required: bool, networks: Iterable[str]
) -> RolePolicy:
    """Set what a role asks of its members; raises InvalidInputError if it shuts its author out.

    From the author's address, the one that is known, admins must still be able to come in.
    """
    group = Group.objects.select_for_update().filter(pk=group_id).first()
    if group is None:
        message = "There is no such role."
        raise NotFoundError(message)
    wanted = cleaned(networks)
    is_member = actor.user_id is not None and group.user_set.filter(pk=actor.user_id).exists()
    if is_member or group.name == ADMIN:
        _refuse_excluding_author(wanted)
    an_admin_could = _lets_an_admin_in()
    policy = RolePolicy.objects.filter(group=group).first() or RolePolicy(group=group)
    old, new = changes(
        {"mfa_required": policy.mfa_required, "networks": policy.networks},
        {"mfa_required": mfa_required, "networks": wanted},
    )
    if new:
        policy.mfa_required, policy.networks = mfa_required, wanted
        policy.save()
        if an_admin_could and not _lets_an_admin_in():
            message = (
                f"With this list no active admin could come in from {tracing.current().address}, "
                "the address you come from. Add a network that holds it, or take the role from an "
                "admin first."
            )
            raise InvalidInputError(message, errors={"networks": [message]})
        record(actor=actor, action="role_policy.updated", target=group, before=old, after=new)
        tell(
            kind=AccessChange.Kind.ROLES,
            value=group.name,
            actor=actor,
            reason="The role's policy changed.",
        )
        _tell(actor, "The networks of a role changed.")
    return policy


@audited
def clear_allow_lists(*, actor: Actor, reason: str) -> int:
    """Empty the lists of the console and of every role; return how many there were.

    The way back in for whoever is shut out and stands at the machine.
    """
    installation = ensure()
    before: dict[str, object] = {}
    if installation.console_networks:
        before["console"] = installation.console_networks
    for policy in RolePolicy.objects.exclude(networks=[]).select_related("group"):
        before[policy.group.name] = policy.networks
    if not before:
        return 0
    Installation.objects.filter(pk=1).update(console_networks=[])
    RolePolicy.objects.exclude(networks=[]).update(networks=[])
    record(
        actor=actor,
        action="allow_lists.cleared",
        target=installation,
        before=before,
        after={name: [] for name in before},
        reason=reason,
    )
    tell(
        kind=AccessChange.Kind.ROLES,
        value="",
        actor=actor,
        reason="All lists of networks were emptied.",
    )
    _tell(actor, "All lists of networks were emptied.")
    return len(before)


def _refuse_excluding_author(networks: list[str]) -> None:
    address = tracing.current().address
    if address and not allows(tuple(networks), address):
        message = (
            f"This list leaves out {address}, the address you come from. "
            "Add a network that holds it, or you shut yourself out."
        )
        raise InvalidInputError(message, errors={"networks": [message]})


def _lets_an_admin_in() -> bool:
    """Tell whether an active admin could come in from the address of whoever acts now."""
    address = tracing.current().address
    if not address:
        return True  # of an act at the machine nothing is known
    lists: dict[UUID, list[tuple[str, ...]]] = {
        pk: [] for pk in people.active_admins().values_list("pk", flat=True)
    }
    limits = RolePolicy.objects.exclude(networks=[]).filter(group__user__in=list(lists))
    for pk, listed in limits.values_list("group__user", "networks"):
        if pk in lists:
            lists[pk].append(tuple(listed))
    console = Installation.objects.filter(pk=1).values_list("console_networks", flat=True).first()
    return any(
        all(allows(networks, address) for networks in of_roles or [tuple(console or ())])
        for of_roles in lists.values()
    )


def _tell(actor: Actor, reason: str) -> None:
    tell(
        kind=AccessChange.Kind.NETWORKS,
        value="",
        actor=actor,
        reason=reason,
    )
