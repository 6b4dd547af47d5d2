"""Who may follow what: topics, the permissions they need, and the feeds behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

TOPICS: Final[dict[str, str]] = {
    "alerts": "notifications.view_notification",
    "incidents": "reliability.view_incident",
    "services": "reliability.view_service",
}
"""Topics with entries that are kept and caught up."""

METRICS: Final[dict[str, frozenset[str]]] = {
    "overview": frozenset(
        {"reliability.view_service", "reliability.view_incident", "reliability.view_sample"}
    )
}
"""Topics whose newest value alone counts; each needs every right to what its value shows."""

ASKED: Final = frozenset(TOPICS.values()).union(*METRICS.values())
"""Every permission that decides about a topic."""

ALERTS: Final = "topic:alerts"
INCIDENTS: Final = "topic:incidents"
SERVICES: Final = "topic:services"


MESSAGE: Final = "message"
"""The entry of a person's own feed that tells of an alert."""

_OWN: Final = "user:"


def of_user(user_id: UUID) -> str:
    """Return the audience that is one person."""
    return f"{_OWN}{user_id}"


def allowed_topics(granted: Collection[str]) -> frozenset[str]:
    """Return the topics that these permissions open, those of metrics among them."""
    topics = frozenset(topic for topic, needed in TOPICS.items() if needed in granted)
    return topics.union(topic for topic, needed in METRICS.items() if needed <= set(granted))


def audiences_of(topics: Collection[str], user_id: UUID | None) -> frozenset[str]:
    """Return the feeds behind topics; a person's own is always among them."""
    found = {f"topic:{topic}" for topic in topics if topic in TOPICS}
    if user_id is not None:
        found.add(of_user(user_id))
    return frozenset(found)


def is_withheld(audience: str, kind: str, granted: Collection[str]) -> bool:
    """Tell whether what an entry says must stay hidden: alerts of one's own feed are alerts too.

    Its number is told all the same, so that nothing seems to be missing.
    """
    return audience.startswith(_OWN) and kind == MESSAGE and TOPICS["alerts"] not in granted
