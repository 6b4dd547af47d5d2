"""Collect what browsers load, whenever its sources have changed."""

from __future__ import annotations

import hashlib
from typing import Final

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

_STAMP: Final = ".collected-from"


def collect_static() -> bool:
    """Collect the static files unless that was done from just these; return whether it was needed.

    The folder is emptied first: Django's command keeps a copy that is younger than its source, and
    an upgrade may bring sources with old dates. The stamp comes last, so that a collection which
    was interrupted is done again.
    """
    stamp = settings.STATIC_ROOT / _STAMP
    sources = _digest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == sources:
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(sources, encoding="ascii")
    return True


def _digest() -> str:
    """Return a digest of every source, by path and content: an upgrade may keep size and date."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            digest.update(path.encode())
            with storage.open(path) as source:
                digest.update(hashlib.sha256(source.read()).digest())
    return digest.hexdigest()
