"""Who opens a connection that stays open, and whether they may go on: judged in memory."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from accounts.authentication import api_keys, dashboard_keys, tokens
from accounts.authentication.credentials import CredentialKind
from accounts.authentication.dashboard_keys import find_dashboard_key, note_use
from accounts.engine.tokens import ACCESS_SECONDS
from accounts.models import User, UserSession
from accounts.roles import ROLES
from accounts.selectors import access, sign_ins
from accounts.selectors.bearers import Bearer
from accounts.services import restrictions, sessions
from accounts.services.networks import AddressRefusedError, refuse_address
from core import crypto, tracing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accounts.authentication.credentials import Credential
    from accounts.engine.snapshots import Snapshot

Found = tuple[Bearer, frozenset[str]]

_LONGEST_COOKIE: Final = 128
_AT_ONCE: Final = 500


def bearer_of_session(cookie: str, asked: frozenset[str]) -> Found | None:
    """Return who is signed in by the console's cookie, and what they have of what is asked.

    Raises DomainError for who may not go on: a password to change, a factor to enrol, a network.
    """
    access.fresh()
    # What the store makes is short and plain; anything else need not be looked up.
    if not cookie.isascii() or not cookie.isalnum() or len(cookie) > _LONGEST_COOKIE:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookie)
    # Django's own judgement beside ours: the backend is known, the password the same.
    user = get_user(request)
    person = access.snapshot(user.pk) if isinstance(user, User) else None
    if person is None:
        return None
    bearer = Bearer(
        key=f"user/{person.user_id}",
        name=person.username,
        role=person.role,
        user_id=person.user_id,
        sid=UUID(request.session[sign_ins.SID]).hex,
        epoch=person.epoch,
        methods=sign_ins.methods_of(request.session[sign_ins.SID]),
        until=float(request.session[sessions.UNTIL]),
        address=tracing.current().address,
    )
    refuse_address(place="console", snapshot=person, address=bearer.address)
    _refuse_restricted(person, bearer.methods)
    return bearer, person.granted(asked)


def bearer_of_credential(given: Credential, asked: frozenset[str], *, path: str) -> Found | None:
    """Return who holds a token or a key, and what they have of what is asked."""
    if given.kind is CredentialKind.ACCESS_TOKEN:
        return _of_token(given.value, asked)
    if given.kind is CredentialKind.API_KEY:
        return _of_api_key(given.value, asked)
    if given.kind is CredentialKind.DASHBOARD_KEY:
        return _of_dashboard_key(given.value, asked, path)
    return None


def still_granted(bearers: Iterable[Bearer], asked: frozenset[str]) -> dict[Bearer, frozenset[str]]:
    """Return what bearers may do now; missing is whose sign-in or key is over.

    In memory: no query while nothing has changed. Raises UnavailableError when nobody can know;
    with OPS_AUTH_STALE_READS they go on, for they only read.
    """
    access.fresh(reading=True)
    now = time.time()
    standing: dict[Bearer, frozenset[str]] = {}
    for bearer in bearers:
        granted = _granted(bearer, asked) if now < bearer.until else None
        if granted is not None:
            standing[bearer] = granted
    return standing


def over(bearers: Iterable[Bearer]) -> frozenset[Bearer]:
    """Return whose session is over by its row: idle, expired, or gone. One query for each 500.

    Nobody tells the feed of these; whoever keeps connections asks now and then.
    """
    by_session: dict[UUID, list[Bearer]] = {}
    for bearer in bearers:
        if bearer.sid:
            by_session.setdefault(UUID(bearer.sid), []).append(bearer)
    ids = [*by_session]
    ended: set[Bearer] = set()
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        held = UserSession.objects.filter(sign_ins.holds(), pk__in=some)
        alive = {*held.values_list("pk", flat=True)}
        ended.update(bearer for pk in some if pk not in alive for bearer in by_session[pk])
    return frozenset(ended)


def _granted(bearer: Bearer, asked: frozenset[str]) -> frozenset[str] | None:
    if bearer.api_key:
        key = api_keys.standing_principal(bearer.api_key, bearer.address)
        return None if key is None else frozenset(name for name in asked if key.has_perm(name))
    if bearer.user_id is None:
        if not dashboard_keys.stands(bearer.dashboard_key, bearer.role, bearer.address):
            return None
        return asked & ROLES[bearer.role]
    if access.standing.is_ended(sid=bearer.sid, jti=bearer.jti, kid=bearer.kid):
        return None
    person = access.snapshot(bearer.user_id)
    if person is None or not person.is_active or person.epoch != bearer.epoch:
        return None
    if restrictions.restriction_of(person, bearer.methods) is not None:
        return None
    try:
        refuse_address(
            place="login" if bearer.jti else "console", snapshot=person, address=bearer.address
        )
    except AddressRefusedError:
        return None
    return person.granted(asked)


def _of_token(raw: str, asked: frozenset[str]) -> Found | None:
    found = tokens.principal_of(raw)
    if found is None:
        return None
    person = found.snapshot
    refuse_address(place="login", snapshot=person, address=tracing.current().address)
    _refuse_restricted(person, found.methods)
    bearer = Bearer(
        key=f"user/{person.user_id}",
        name=person.username,
        role=person.role,
        user_id=person.user_id,
        sid=found.sid,
        jti=found.jti,
        kid=found.kid,
        epoch=found.epoch,
        methods=found.methods,
        # The client comes back with its next token; the connection does not outlive this one long.
        until=time.time() + ACCESS_SECONDS,
        address=tracing.current().address,
    )
    return bearer, person.granted(asked)


def _of_api_key(raw: str, asked: frozenset[str]) -> Found | None:
    address = tracing.current().address
    found = api_keys.principal_of(raw, address)
    if found is None:
        return None
    bearer = Bearer(
        key=found.pk, name=found.pk, role="api key", api_key=found.key_id, address=address
    )
    return bearer, frozenset(name for name in asked if found.has_perm(name))


def _of_dashboard_key(raw: str, asked: frozenset[str], path: str) -> Found | None:
    found = find_dashboard_key(raw)
    if found is None:
        return None
    note_use(found, path)
    digest = crypto.keyed_digest(settings.DASHBOARD_PEPPER, raw).hex()
    bearer = Bearer(
        key=found.pk,
        name=found.pk,
        role=found.role,
        dashboard_key=digest,
        address=tracing.current().address,
    )
    return bearer, frozenset(name for name in asked if found.has_perm(name))


def _refuse_restricted(person: Snapshot, methods: tuple[str, ...]) -> None:
    found = restrictions.restriction_of(person, methods)
    if found is not None:
        raise found
