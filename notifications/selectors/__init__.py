"""What doors and services read of notifications."""

from notifications.selectors.feeds import PAGE, Position, entries, heads, news, positions

__all__ = ["PAGE", "Position", "entries", "heads", "news", "positions"]
