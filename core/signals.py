"""What the foundation tells other apps; sent so that one receiver's error stops nobody."""

from typing import Final

from django.dispatch import Signal

job_started: Final = Signal()
"""A periodic job begins in a worker: `name`, that of its row in the schedule."""

job_finished: Final = Signal()
"""It has ended: `name`, `ok`, and as `error` the kind of failure, never its text."""
