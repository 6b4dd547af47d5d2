"""The console's sessions: the database holds a digest of the cookie, never its value (SPEC A3)."""

from __future__ import annotations

import logging
import time
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.cache import cache

from accounts.engine.cookies import CACHE_PREFIX, digest_of
from accounts.selectors import access
from accounts.selectors.sign_ins import CONSOLE_IDLE, SID
from accounts.services import sessions
from core import tracing

logger = logging.getLogger(__name__)

_CACHE_AWAY_SECONDS: Final = 10.0
_NEVER: Final = float("-inf")


class SessionStore(DatabaseStore):
    """Keeps sessions in the database, and a copy in Redis where there is one.

    What it holds of a person is given out only while their sign-in holds: it has not ended, nor
    been idle too long, and nothing has ended all of theirs. Raises UnavailableError while nobody
    can know.
    """

    is_reading = False
    """Whether the request changes nothing; then it may go on what is known, if that is allowed."""
    _cache_away_until = _NEVER

    def load(self) -> dict[str, Any]:
        """Return what the session holds; nothing once it is over."""
        data = self._from_cache()
        if data is None:
            row = self._get_session_from_db()
            data = self.decode(row.session_data) if row is not None else {}
            if data:
                self._to_cache(data)
        if SESSION_KEY in data:
            access.fresh(reading=self.is_reading)
            if not _holds(data):
                # A new value is made when something is written: nobody goes on with the old one.
                self._session_key = None
                return {}
        sid = data.get(SID)
        # Outside a request nothing would take it back again.
        if sid and tracing.current().request_id:
            tracing.amend(session=sid)
        return data

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002  # Django's signature
        """Write the session, in the database first."""
        super().save(must_create)
        if self.session_key is not None:
            self._to_cache(dict(self.items()))

    def exists(self, session_key: str) -> bool:
        """Tell whether a cookie of this value stands for something."""
        return super().exists(digest_of(session_key))

    def delete(self, session_key: str | None = None) -> None:
        """Delete what a cookie stands for."""
        session_key = session_key or self.session_key
        if session_key is None:
            return
        super().delete(digest_of(session_key))
        self._with_cache("delete", CACHE_PREFIX + digest_of(session_key))

    def cycle_key(self) -> None:
        """Give the cookie a new value; the sign-in behind it stays."""
        super().cycle_key()
        if sid := self.get(SID):
            sessions.rekey(sid, self.session_key or "")

    def flush(self) -> None:
        """Delete the session; the sign-in behind it has ended."""
        sid = self.get(SID)
        super().flush()
        if sid:
            sessions.end_flushed(UUID(sid))

    def create_model_instance(self, data: Any) -> Any:  # noqa: ANN401  # Django's signature
        """Return the row to write, under the digest."""
        row = super().create_model_instance(data)
        row.session_key = digest_of(row.session_key)
        return row

    def _get_session_from_db(self) -> Any:  # noqa: ANN401  # Django's signature
        if not self.session_key:
            return None
        row = self.model.objects.filter(session_key=digest_of(self.session_key)).first()
        if row is None or row.expire_date.timestamp() <= time.time():
            self._session_key = None
            return None
        return row

    # The copy in Redis

    def _from_cache(self) -> dict[str, Any] | None:
        if not self.session_key:
            return None
        found: dict[str, Any] | None = self._with_cache(
            "get", CACHE_PREFIX + digest_of(self.session_key)
        )
        return found

    def _to_cache(self, data: dict[str, Any]) -> None:
        if self.session_key:
            key = CACHE_PREFIX + digest_of(self.session_key)
            # Told, because asking would load the session that is being loaded.
            age = self.get_expiry_age(expiry=data.get("_session_expiry"))
            self._with_cache("set", key, data, age)

    @classmethod
    def _with_cache(cls, method: str, *args: Any) -> Any:  # noqa: ANN401  # of the cache
        """Ask Redis; while it is away the database answers alone."""
        if not settings.REDIS_URL or time.monotonic() < SessionStore._cache_away_until:
            return None
        try:
            return getattr(cache, method)(*args)
        except Exception as error:  # noqa: BLE001  # whatever the client raises while it is away
            SessionStore._cache_away_until = time.monotonic() + _CACHE_AWAY_SECONDS
            logger.warning("Sessions are read without Redis (%s).", type(error).__name__)
            return None


def _holds(data: dict[str, Any]) -> bool:
    """Tell whether the sign-in behind a session still holds; without a query while nothing changed.

    Sessions from before sign-ins were listed have no id and are over.
    """
    sid, until, seen = (data.get(name) for name in (SID, sessions.UNTIL, sessions.SEEN))
    if not isinstance(sid, str) or not isinstance(until, int) or not isinstance(seen, int):
        return False
    now = time.time()
    if now >= until or now - seen >= CONSOLE_IDLE.total_seconds():
        return False
    if access.standing.is_ended(sid=UUID(sid).hex):
        return False
    person = access.snapshot(UUID(data[SESSION_KEY]))
    return person is not None and person.is_active and person.epoch == data.get(sessions.EPOCH)
