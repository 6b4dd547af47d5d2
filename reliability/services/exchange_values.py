"""What the fields of a file become: values of the kinds that rows have."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.core.exceptions import ValidationError
from django.db import models

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_YES: Final = frozenset({"yes", "true", "on", "1"})
_NO: Final = frozenset({"no", "false", "off", "0"})
_LISTS: Final = frozenset({"tags"})


class RefusedError(Exception):
    """A line that nothing can be made of."""


def values_of(
    given: Mapping[str, Any], known: Sequence[str], model: type[models.Model]
) -> dict[str, Any]:
    """Return the values as the model has them; raises RefusedError for what it has not."""
    if strange := [name for name in given if name not in known]:
        message = f"there is no field “{strange[0]}”"
        raise RefusedError(message)
    return {name: _typed(model, name, value) for name, value in given.items()}


def _typed(model: type[models.Model], name: str, value: Any) -> Any:  # noqa: ANN401  # as the file has it
    kind: Any = model._meta.get_field(name)
    if isinstance(kind, models.BooleanField):
        return _boolean(name, value)
    if isinstance(kind, models.IntegerField):
        return _number(name, value, may_miss=kind.null)
    if isinstance(kind, models.JSONField):
        return texts_of(name, value) if name in _LISTS else _objects(name, value)
    if name == "dns_expected" and isinstance(value, list):
        return "\n".join(texts_of(name, value))
    if value is None:
        return ""
    if not isinstance(value, str):
        message = f"{name} must be text"
        raise RefusedError(message)
    return value.strip()


def _boolean(name: str, value: object) -> bool:
    text = str(value).casefold()
    if text not in _YES | _NO:
        message = f"{name} must be yes or no"
        raise RefusedError(message)
    return text in _YES


def _number(name: str, value: object, *, may_miss: bool) -> int | None:
    if value is None and may_miss:
        return None
    text = str(value).strip()
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 12):  # noqa: PLR2004  # what fits a column
        message = f"{name} must be a whole number"
        raise RefusedError(message)
    return int(text)


def texts_of(name: str, value: Any) -> list[str]:  # noqa: ANN401  # as the file has it
    """Return a list of texts, which a cell divides by commas."""
    if value is None:
        return []
    if isinstance(value, str):
        value = _json(name, value) if value.startswith("[") else value.split(",")
    if not isinstance(value, list) or not all(isinstance(part, str | int) for part in value):
        message = f"{name} must be a list of texts"
        raise RefusedError(message)
    return [text for part in value if (text := str(part).strip())]


def _objects(name: str, value: Any) -> list[Any]:  # noqa: ANN401  # as the file has it
    if value is None:
        return []
    found = _json(name, value) if isinstance(value, str) else value
    if not isinstance(found, list):
        message = f"{name} must be a list"
        raise RefusedError(message)
    return found


def _json(name: str, text: str) -> Any:  # noqa: ANN401  # whatever the text holds
    if "\\u0000" in text:
        message = f"{name} holds a NUL character, which no database keeps"
        raise RefusedError(message)
    try:
        return json.loads(
            text, parse_int=_whole, parse_float=_broken, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        message = f"{name} is no JSON"
        raise RefusedError(message) from error


def _whole(text: str) -> int:
    number = int(text) if len(text) <= 20 else 2**63  # noqa: PLR2004  # more digits never fit
    if not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return number


def _broken(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


def clean(row: models.Model, exclude: Iterable[str]) -> None:
    """Judge by the rules of the model; those of the database follow from them."""
    try:
        row.clean_fields(exclude=set(exclude))
        row.clean()
    except ValidationError as error:
        parts = [f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items()]
        raise RefusedError("; ".join(parts)) from error
