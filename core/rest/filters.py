"""Filters that lists take from the query: `?name=value`, compared exactly.

A NUL, the one character that no column can hold, never gets here: `core.wellformed` refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import InvalidInputError

if TYPE_CHECKING:
    from rest_framework.request import Request

# So many digits always fit a big integer.
_MOST_DIGITS: Final = 18


def texts(request: Request, **columns: str) -> dict[str, str]:
    """Return the given texts by column; a text that occurs nowhere finds nothing."""
    given = request.query_params
    return {column: given[name] for name, column in columns.items() if name in given}


def ids(request: Request, **columns: str) -> dict[str, int]:
    """Return the given ids by column; raises InvalidInputError for what is no number."""
    given = texts(request, **columns)
    names = {column: name for name, column in columns.items()}
    if bad := [names[column] for column, text in given.items() if not _is_id(text)]:
        message = "A filter cannot be used."
        raise InvalidInputError(
            message, errors={name: ["Give the id as a number."] for name in bad}
        )
    return {column: int(text) for column, text in given.items()}


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
