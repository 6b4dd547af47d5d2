"""Model fields of the foundation."""

import json
from typing import Any

from django.conf import settings
from django.db import models

from core import crypto

FIELD_KEY = "FIELD_KEY"


class SealedJSONField(models.TextField):  # type: ignore[type-arg]
    """JSON that the database holds only sealed, with the keyring's FIELD_KEY.

    The context is part of the seal: a value copied to another column does not open there.
    """

    # The type checker reads from these what may be assigned and what comes back.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def __init__(self, *args: Any, context: str, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        self.context = context
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, list(args), {**kwargs, "context": self.context}

    def get_prep_value(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        if value is None:
            return None
        secret = settings.KEYRING.ensure(FIELD_KEY)
        plaintext = json.dumps(value, sort_keys=True).encode()
        return crypto.seal(secret, plaintext, context=self.context)

    def from_db_value(self, value: str | None, *_: object) -> Any:  # noqa: ANN401  # any JSON
        if value is None:
            return None
        secrets = settings.KEYRING.all_valid(FIELD_KEY)
        return json.loads(crypto.unseal(secrets, value, context=self.context))

    def to_python(self, value: Any) -> Any:  # noqa: ANN401  # Django's signature
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))
