"""The switch of a copy that was restored for a drill: it talks to nobody outside."""

from typing import Final

from django.conf import settings

from core.errors import NotConfiguredError

_DRILL: Final = "drill"


def is_drill() -> bool:
    """Tell whether this platform is such a copy."""
    return bool(settings.OPS_MODE == _DRILL)


def refuse_in_drill() -> None:
    """Raise NotConfiguredError in a drill; to be called wherever a way to the outside is opened.

    A copy holds the channels and checks of the original, and its messages would look real.
    """
    if is_drill():
        message = "This is a copy for a drill (OPS_MODE=drill): it asks and sends nothing."
        raise NotConfiguredError(message)
