"""Browsers in which somebody has signed in before: a cookie that says so for each name.

The cookie is `<nonce>.<mark>…`, each mark a MAC of nonce and name: it can neither be made up nor be
used for another name, and it does not tell the names. It counts for the epoch in which it was made:
ending all sign-ins of a person, as resetting the password does, forgets their browsers too.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from typing import Final

from django.conf import settings

from accounts.services.buckets import PEPPER
from core import crypto

SECONDS: Final = 365 * 86_400
_NAMES: Final = 4
_COOKIE: Final = re.compile(rf"[\w-]{{22}}(\.[\w-]{{22}}){{1,{_NAMES}}}", re.ASCII)


def known(cookie: str, username: str, *, epoch: int) -> str:
    """Return what names the browser, if somebody of that name signed in with it; else nothing."""
    if not _COOKIE.fullmatch(cookie):
        return ""
    nonce, *marks = cookie.split(".")
    wanted = _mark(nonce, username, epoch)
    found = [mark for mark in marks if hmac.compare_digest(mark, wanted)]
    return nonce if found else ""


def remember(cookie: str, username: str, *, epoch: int) -> str:
    """Return the cookie with this name added; the oldest of too many names falls out."""
    if known(cookie, username, epoch=epoch):
        return cookie
    nonce, *marks = cookie.split(".") if _COOKIE.fullmatch(cookie) else [secrets.token_urlsafe(16)]
    return ".".join([nonce, *[*marks, _mark(nonce, username, epoch)][-_NAMES:]])


def _mark(nonce: str, username: str, epoch: int) -> str:
    secret = settings.KEYRING.ensure(PEPPER)
    digest = crypto.keyed_digest(secret, f"device\0{nonce}\0{epoch}\0{username}")
    return urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
