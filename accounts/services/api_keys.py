"""Make, rotate and revoke API keys; each act leaves an audit row (SPEC A6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import signals
from accounts.engine import key_format
from accounts.models import AccessChange, APIKey, User
from accounts.scopes import SCOPES, useful_to
from accounts.selectors import api_keys as remembered
from accounts.services.networks import cleaned
from accounts.services.revocation import tell
from audit.services.acts import audited
from audit.services.records import record
from core import crypto
from core.errors import ForbiddenError, InvalidInputError, InvalidTransitionError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from core.actors import Actor

PEPPER: Final = "API_KEY_PEPPER"
DEFAULT_DAYS: Final = 90
LONGEST_DAYS: Final = 365
GRACE_HOURS: Final = 24
LONGEST_GRACE_HOURS: Final = 7 * 24
UNUSED_DAYS: Final = 90
MOST_KEYS: Final = 100
WARN_DAYS: Final = (14, 3, 1)


@audited
def create(
    *,
    actor: Actor,
    owner_id: UUID,
    label: str,
    scopes: Iterable[str],
    networks: Iterable[str] = (),
    days: int = DEFAULT_DAYS,
    revoke_unused: bool = False,
) -> tuple[APIKey, str]:
    """Make a key for its owner; return it and the text for showing once."""
    owner = User.objects.select_for_update().get(pk=owner_id)
    wanted = _checked_scopes(owner, scopes)
    label = _checked_label(label)
    if not 1 <= days <= LONGEST_DAYS:
        message = f"A key holds from 1 to {LONGEST_DAYS} days."
        raise InvalidInputError(message, errors={"days": [message]})
    _refuse_too_many(owner)
    key, raw = _made(
        owner=owner,
        label=label,
        scopes=wanted,
        networks=cleaned(networks),
        expires_at=timezone.now() + timedelta(days=days),
        revoke_unused=revoke_unused,
    )
    record(actor=actor, action="api_key.created", target=key, after=_shown(key))
    return key, raw


@audited
def rotate(
    *, actor: Actor, key_id: UUID, grace_hours: int = GRACE_HOURS, owner_id: UUID
) -> tuple[APIKey, str]:
    """Make a key that replaces another; the old one works on for the grace period.

    Only the owner may: whoever else made one would hold a key of somebody else's rights.
    """
    if not 0 <= grace_hours <= LONGEST_GRACE_HOURS:
        message = f"The old key can work on for 0 to {LONGEST_GRACE_HOURS} hours."
        raise InvalidInputError(message, errors={"grace_hours": [message]})
    # Whoever makes keys for one person at once waits here, so that each counts the others.
    owner = User.objects.select_for_update().filter(pk=owner_id).first()
    old = _locked(key_id, owner_id)
    now = timezone.now()
    if old.expires_at <= now:
        message = "This key has expired; make a new one."
        raise InvalidTransitionError(message)
    if APIKey.objects.filter(rotated_from=old).exists():
        message = "This key was rotated already; rotate the one that replaced it."
        raise InvalidTransitionError(message)
    if owner is not None and grace_hours:
        _refuse_too_many(owner)  # without a grace period one takes the place of the other
    key, raw = _made(
        owner=old.owner,
        label=old.label,
        scopes=[scope for scope in old.scopes if scope in SCOPES],
        networks=old.networks,
        expires_at=now + (old.expires_at - old.created_at),
        revoke_unused=old.revoke_unused,
        rotated_from=old,
    )
    if grace_hours:
        old.expires_at = min(old.expires_at, now + timedelta(hours=grace_hours))
        old.save(update_fields=["expires_at"])
    else:
        _end(old, actor, "Rotated without a grace period.")
    record(
        actor=actor,
        action="api_key.rotated",
        target=old,
        after=_shown(key),
        grace_hours=grace_hours,
    )
    _tell(old, actor, "The key was rotated.")
    return key, raw


@audited
def revoke(*, actor: Actor, key_id: UUID, reason: str = "", owner_id: UUID | None = None) -> APIKey:
    """End a key at once; with `owner_id`, only if it is that person's."""
    key = _locked(key_id, owner_id)
    _end(key, actor, reason)
    record(actor=actor, action="api_key.revoked", target=key, reason=reason)
    _tell(key, actor, "The key was revoked.")
    return key


@audited
def revoke_all(*, actor: Actor, user_id: UUID, reason: str = "") -> int:
    """End all keys of a person at once; return how many there were."""
    held = APIKey.objects.filter(owner_id=user_id, revoked_at=None).values_list("pk", flat=True)
    for key_id in (found := list(held)):
        revoke(actor=actor, key_id=key_id, reason=reason, owner_id=user_id)
    return len(found)


@audited
def reseal(*, actor: Actor, key: APIKey, raw: str) -> None:
    """Keep the digest of a key under the present pepper, once the key was seen anew."""
    pepper = settings.KEYRING.ensure(PEPPER)
    digest, pepper_id = crypto.keyed_digest(pepper, raw).hex(), crypto.key_id(pepper)
    held = APIKey.objects.filter(pk=key.pk, pepper_id=key.pepper_id)
    if held.update(digest=digest, pepper_id=pepper_id):
        record(actor=actor, action="api_key.resealed", target=key)
        _tell(key, actor, "The key's digest was made anew.")


def revoke_unused(*, actor: Actor) -> int:
    """Revoke keys whose owners asked for it and that nobody used for 90 days."""
    before = timezone.now() - timedelta(days=UNUSED_DAYS)
    stale = (
        APIKey.objects.filter(revoke_unused=True, revoked_at=None, created_at__lt=before)
        .annotate(used=Coalesce("last_used_at", "created_at"))
        .filter(used__lt=before)
    )
    ended = 0
    for key_id in stale.values_list("pk", flat=True):
        try:
            revoke(actor=actor, key_id=key_id, reason=f"Not used for {UNUSED_DAYS} days.")
        except InvalidTransitionError:
            continue  # its owner was quicker
        ended += 1
    return ended


def warn_expiring(*, actor: Actor) -> int:
    """Tell owners of keys that end within 14, 3 and 1 days, once each; return how many."""
    now = timezone.now()
    warned = 0
    for days in sorted(WARN_DAYS):
        due = (
            APIKey.objects.filter(
                Q(warned_days=None) | Q(warned_days__gt=days),
                revoked_at=None,
                owner__is_active=True,
                expires_at__gt=now,
                expires_at__lte=now + timedelta(days=days),
            )
            .exclude(Exists(APIKey.objects.filter(rotated_from=OuterRef("pk"))))
            .select_related("owner")
        )
        for key in due:
            warned += _warn(actor=actor, key=key, days=days)
    return warned


@audited
def _warn(*, actor: Actor, key: APIKey, days: int) -> int:
    held = APIKey.objects.filter(Q(warned_days=None) | Q(warned_days__gt=days), pk=key.pk)
    if not held.update(warned_days=days):
        return 0
    record(actor=actor, action="api_key.warned", target=key, days=days)
    signals.tell(
        signals.api_key_expiring,
        key_id=key.key_id,
        label=key.label,
        owner=key.owner.username,
        owner_id=key.owner_id,
        days=days,
        expires_at=key.expires_at,
    )
    return 1


def write_uses(uses: dict[str, tuple[float, str]]) -> None:
    """Write when and from where keys were last used; times are seconds since 1970."""
    for key_id, (seconds, address) in uses.items():
        moment = datetime.fromtimestamp(seconds, UTC)
        # Processes write in any order; the latest use stays.
        APIKey.objects.filter(
            Q(last_used_at=None) | Q(last_used_at__lt=moment), key_id=key_id
        ).update(last_used_at=moment, last_used_address=address or F("last_used_address"))


def _locked(key_id: UUID, owner_id: UUID | None) -> APIKey:
    found = APIKey.objects.select_for_update(of=("self",)).select_related("owner")
    if owner_id is not None:
        found = found.filter(owner_id=owner_id)
    key = found.filter(pk=key_id).first()
    if key is None:
        message = "There is no such key."
        raise NotFoundError(message)
    if key.revoked_at is not None:
        message = "This key was revoked already."
        raise InvalidTransitionError(message)
    return key


def _made(
    *,
    owner: User,
    label: str,
    scopes: list[str],
    networks: list[str],
    expires_at: datetime,
    revoke_unused: bool,
    rotated_from: APIKey | None = None,
) -> tuple[APIKey, str]:
    pepper = settings.KEYRING.ensure(PEPPER)
    key_id, raw = key_format.make()
    key = APIKey.objects.create(
        key_id=key_id,
        digest=crypto.keyed_digest(pepper, raw).hex(),
        pepper_id=crypto.key_id(pepper),
        owner=owner,
        label=label,
        scopes=scopes,
        networks=networks,
        expires_at=expires_at,
        revoke_unused=revoke_unused,
        rotated_from=rotated_from,
    )
    return key, raw


def _checked_label(label: str) -> str:
    label = " ".join(label.split())
    longest = 80
    if not label or len(label) > longest or not label.isprintable():
        message = f"Say in 1 to {longest} characters which program uses the key."
        raise InvalidInputError(message, errors={"label": [message]})
    return label


def _refuse_too_many(owner: User) -> None:
    if APIKey.objects.valid().filter(owner=owner).count() >= MOST_KEYS:
        message = f"Nobody can hold more than {MOST_KEYS} keys; revoke those that are not needed."
        raise InvalidInputError(message)


def _checked_scopes(owner: User, scopes: Iterable[str]) -> list[str]:
    wanted = sorted(set(scopes))
    if not wanted:
        message = "Choose what the key may do."
        raise InvalidInputError(message, errors={"scopes": [message]})
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        message = (
            f"There is no scope {', '.join(unknown[:5])[:200]}. There are {', '.join(SCOPES)}."
        )
        raise InvalidInputError(message, errors={"scopes": [message]})
    if not owner.is_active:
        message = "Who may not sign in cannot have keys."
        raise ForbiddenError(message)
    useful = useful_to(owner.has_perm)
    beyond = [scope for scope in wanted if scope not in useful]
    if beyond:
        message = (
            f"Your roles do not allow {', '.join(beyond)}. "
            f"They allow {', '.join(useful) or 'no scope'}."
        )
        raise InvalidInputError(message, errors={"scopes": [message]})
    return wanted


def _end(key: APIKey, actor: Actor, reason: str) -> None:
    key.revoked_at = timezone.now()
    key.revoked_by = actor.name[:200]
    key.revoked_reason = reason[:200]
    key.save(update_fields=["revoked_at", "revoked_by", "revoked_reason"])


def _tell(key: APIKey, actor: Actor, reason: str) -> None:
    remembered.forget(key.key_id)
    tell(
        kind=AccessChange.Kind.API_KEY,
        value=key.key_id,
        actor=actor,
        reason=reason,
    )


def _shown(key: APIKey) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "owner": key.owner.username,
        "label": key.label,
        "scopes": key.scopes,
        "networks": key.networks,
        "expires_at": key.expires_at.isoformat(timespec="seconds"),
        "revoke_unused": key.revoke_unused,
    }
