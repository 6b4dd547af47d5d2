"""What notifications tells the apps above; each is sent after the commit and may be lost."""

from typing import Final

from django.dispatch import Signal

acknowledged: Final = Signal()
"""Somebody takes care of alerts. Keywords: group_key, dedup_keys, actor."""
