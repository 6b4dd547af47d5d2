"""What a password may not be, beyond Django's own rules."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.exceptions import ValidationError

if TYPE_CHECKING:
    from typing import BinaryIO

LONGEST: Final = 1024
_WORDS: Final = ("opsplatform", "platform", "password", "passwort", "operator", "admin")
_SHORTEST_NAME: Final = 3
_REST: Final = 8
_BLOCK: Final = 128  # longer than any line of the file


class LongestPasswordValidator:
    """Refuses what no password manager makes: hashing it would only cost."""

    def validate(self, password: str, user: object = None) -> None:  # noqa: ARG002  # Django's signature
        """Raise ValidationError for a password that is too long."""
        if len(password) > LONGEST:
            message = f"This password is longer than {LONGEST:,} characters."
            raise ValidationError(message, code="password_too_long")

    def get_help_text(self) -> str:
        """Return the rule as people read it."""
        return f"At most {LONGEST:,} characters; every character counts as you type it."


class OwnWordsValidator:
    """Refuses passwords made of the user name and the product's words."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError when too little remains without those words."""
        rest = password.casefold()
        name = str(getattr(user, "username", "")).casefold()
        words = {*_WORDS, name} if len(name) >= _SHORTEST_NAME else {*_WORDS}
        # The longest first: "platform" would tear "opsplatform" apart.
        for word in sorted(words, key=len, reverse=True):
            rest = rest.replace(word, "")
        letters = re.sub(r"[\W\d_]+", "", rest)
        if rest != password.casefold() and len(letters) < _REST:
            message = "Without your user name and words such as admin, too little of it remains."
            raise ValidationError(message, code="password_own_words")

    def get_help_text(self) -> str:
        """Return the rule as people read it."""
        return "Not made of your user name or words such as admin."


class BreachedPasswordValidator:
    """Refuses passwords known from breaches, by a list on this machine; no list, no rule."""

    def validate(self, password: str, user: object = None) -> None:  # noqa: ARG002  # Django's signature
        """Raise ValidationError for a password on the list."""
        place = settings.OPS_BREACHED_PASSWORDS
        if place and is_listed(Path(place), password):
            message = "This password is known from a breach; others will try it."
            raise ValidationError(message, code="password_breached")

    def get_help_text(self) -> str:
        """Return the rule as people read it."""
        return "Not known from a breach." if settings.OPS_BREACHED_PASSWORDS else ""


def is_listed(place: Path, password: str) -> bool:
    """Tell whether the SHA-1 of the password stands in the sorted file, or the range files."""
    # SHA-1 is how the lists are written; nothing rests on its strength.
    digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    wanted = digest.hexdigest().upper()
    if place.is_dir():
        for name in (wanted[:5], f"{wanted[:5]}.txt"):
            if (file := place / name).is_file():
                rest = wanted[5:]
                lines = file.read_text(encoding="ascii").splitlines()
                return any(line.partition(":")[0].strip().upper() == rest for line in lines)
        return False
    with place.open("rb") as sorted_file:
        return _search(sorted_file, wanted.encode())


def _search(file: BinaryIO, wanted: bytes) -> bool:
    """Halve a file of sorted lines until the line is found; no line is read twice in full."""
    low, high = 0, file.seek(0, 2)
    while low < high:
        middle = (low + high) // 2
        file.seek(middle)
        if middle:
            file.readline(_BLOCK)
        start = file.tell()
        found = file.readline(_BLOCK).partition(b":")[0].strip().upper()
        if found == wanted:
            return True
        if found and found < wanted:
            low = start + 1
        else:
            high = middle
    return False
