"""Console sessions at the end of their life."""

from importlib import import_module

from django.conf import settings


def clear_expired() -> None:
    """Delete the rows of sessions that nobody can use any more."""
    engine = import_module(settings.SESSION_ENGINE)
    engine.SessionStore.clear_expired()
