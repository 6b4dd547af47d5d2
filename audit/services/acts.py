"""The transaction of an act: with its audit row, or not at all."""

from __future__ import annotations

import threading
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


class _Acts(threading.local):
    depth = 0
    written = 0


_acts = _Acts()


def audited(service: Callable[P, R]) -> Callable[P, R]:
    """Run a service in one transaction that must leave an audit row, unless it changed nothing.

    Services that change a watched table are decorated with it instead of `transaction.atomic`.
    """

    @wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic():
            _acts.depth += 1
            try:
                return service(*args, **kwargs)
            finally:
                _acts.depth -= 1

    return run
