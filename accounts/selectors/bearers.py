"""Who holds a connection that stays open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who opened a connection, and with what; the same for all connections of one sign-in.

    `key` is the same for all connections of one person or key.
    """

    key: str
    name: str
    role: str
    user_id: UUID | None = None
    sid: str = ""
    """The session behind a cookie or an access token."""
    jti: str = ""
    kid: str = ""
    """Of an access token; a cookie has none."""
    epoch: str = ""
    methods: tuple[str, ...] = ()
    until: float = float("inf")
    """When it ends by itself, in seconds since 1970."""
    api_key: str = ""
    dashboard_key: str = ""
    """The digest of a dashboard key."""
    address: str = ""
    """Where the connection comes from; lists of networks change while it is open."""
