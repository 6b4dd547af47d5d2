"""The switch of a copy that was restored for a drill: it talks to nobody outside."""

from typing import Final

from django.conf import settings

from core.errors import NotConfiguredError

DRILL: Final = "drill"


def refuse_in_drill() -> None:
    """Raise NotConfiguredError in a drill; to be called wherever a way to the outside is opened.

    A copy holds the channels and checks of the original, and its messages would look real.
    """
    if settings.OPS_MODE == DRILL:
        message = "This is a copy for a drill (OPS_MODE=drill): it asks and sends nothing."
        raise NotConfiguredError(message)
