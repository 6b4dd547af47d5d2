"""Turn what a model refuses into an error of the domain."""

from collections.abc import Collection, Mapping
from typing import Final

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models

from core.errors import InvalidInputError

NON_FIELD: Final = "non_field_errors"


def validate(row: models.Model, *, exclude: Collection[str] = ()) -> None:
    """Run the model's own validation; raises InvalidInputError that names the fields."""
    try:
        # Rules that span fields compare values, so these must be of the right kind first.
        row.clean_fields(exclude)
        row.full_clean(exclude)
    except ValidationError as error:
        message = "Some values cannot be used."
        raise InvalidInputError(message, errors=_named(error.message_dict)) from error


def _named(errors: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {
        NON_FIELD if name == NON_FIELD_ERRORS else name: texts for name, texts in errors.items()
    }
