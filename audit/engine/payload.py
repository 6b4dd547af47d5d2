"""The details of a record as people and programs read them, also where somebody has spoilt them."""

from __future__ import annotations

import json
from typing import Any, Final

from audit.engine.chain import BODY_FIELDS

# What is shown of a record, in its order: the columns that are hashed, the payload by its name.
SHOWN: Final = (
    "id",
    *("details" if name == "payload" else name for name in BODY_FIELDS),
)


def read(payload: str) -> dict[str, Any]:
    """Return the details; what is no canonical object is shown as the text that it is."""
    try:
        found = json.loads(payload, parse_constant=_refuse)
        # Half a pair of surrogates can be escaped, but nothing can be written with it.
        payload.encode()
        if "\\u" in payload:
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {"payload": payload.encode("utf-8", "replace").decode()}
    return found if isinstance(found, dict) else {"payload": payload}


def _refuse(text: str) -> object:
    message = f"{text} is no value of JSON."
    raise ValueError(message)
