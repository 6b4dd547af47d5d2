"""The transaction of an act: with its audit row, or not at all."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from django.db import connection, transaction

from audit.engine.watched import written_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

# What tells the triggers that the application itself writes; it ends with the transaction.
_TELL_POSTGRESQL: Final = "SELECT set_config('ops.audit', %s, true)"
_TELL_SQLITE: Final = "INSERT OR IGNORE INTO audit_ctx (id) VALUES (1)"
_UNTELL_SQLITE: Final = "DELETE FROM audit_ctx"


class UnrecordedActError(RuntimeError):
    """A service changed a watched table and left no record: a fault of the code."""


class _Acts(threading.local):
    depth = 0
    unwatched = 0
    records = 0
    touched = ""
    told: tuple[str | None, ...] | None = None
    """The savepoints under which the database was told; rolling one back takes it along."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []


_acts = _Acts()


def audited(service: Callable[P, R]) -> Callable[P, R]:
    """Run a service as an act, see `act`; it takes the place of `transaction.atomic`."""

    @wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with act():
            return service(*args, **kwargs)

    return run


@contextmanager
def act() -> Iterator[None]:
    """Open the transaction of an act, in which watched tables may change.

    Whoever changes one must also call `record` before the outermost act ends; otherwise
    UnrecordedActError undoes the change. An act that changed nothing needs no record. What was
    refused meanwhile is written after the outermost act, whichever way it ended.
    """
    if _acts.depth:
        _acts.depth += 1
        try:
            with transaction.atomic():
                yield
        finally:
            _acts.depth -= 1
        return
    try:
        with _depth(), transaction.atomic(), connection.execute_wrapper(_tell_before_writes):
            yield
            _refuse_if_unrecorded()
            _untell()
    finally:
        _acts.told = None
        later, _acts.later = _acts.later, []
        for write in later:
            write()


@contextmanager
def unwatched(reason: str) -> Iterator[None]:
    """Change watched tables without a record: for migrations, set-up and the flush of tests.

    The reason is for readers of the code. The block is a transaction.
    """
    assert reason, "Say why nobody needs to know."  # noqa: S101  # a fault of the code
    is_inside = bool(_acts.depth or _acts.unwatched)
    _acts.unwatched += 1
    try:
        with transaction.atomic():
            _tell(connection)
            yield
            if not is_inside:
                _untell()
    finally:
        _acts.unwatched -= 1
        if not is_inside:
            _acts.told = None


def note_record() -> None:
    """Remember that the running act has left its record."""
    _acts.records += 1


def after_the_act(write: Callable[[], None]) -> bool:
    """Call it once the running act has ended; False, and no call, where there is none."""
    if _acts.depth:
        _acts.later.append(write)
    return bool(_acts.depth)


@contextmanager
def _depth() -> Iterator[None]:
    _acts.depth, _acts.records, _acts.touched = 1, 0, ""
    try:
        yield
    finally:
        _acts.depth = 0


def _refuse_if_unrecorded() -> None:
    if _acts.touched and not _acts.records:
        message = f"An act changed {_acts.touched} and left no audit record."
        raise UnrecordedActError(message)


def _tell_before_writes(
    execute: Callable[..., Any],
    sql: Any,  # noqa: ANN401  # a text, or composed by psycopg
    params: Any,  # noqa: ANN401  # Django's signature
    many: bool,  # noqa: FBT001  # the same
    context: dict[str, Any],
) -> Any:  # noqa: ANN401  # the same
    """Tell the triggers of the act just before its first write: most acts write no such table."""
    table = written_table(sql) if isinstance(sql, str) else ""
    if not table:
        return execute(sql, params, many, context)
    _tell(context["connection"])
    found = execute(sql, params, many, context)
    if not _acts.unwatched and context["cursor"].rowcount != 0:
        _acts.touched = table
    return found


def _tell(database: Any) -> None:  # noqa: ANN401  # a connection of either kind
    now = tuple(database.savepoint_ids)
    if _acts.told is not None and now[: len(_acts.told)] == _acts.told:
        return
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(_TELL_POSTGRESQL, ["act"])
        else:
            cursor.execute(_TELL_SQLITE)
    _acts.told = now


def _untell() -> None:
    """Take it back before the end: an outer transaction may go on without the act."""
    if _acts.told is None:
        return
    _acts.told = None
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(_UNTELL_SQLITE)
        elif connection.savepoint_ids:
            cursor.execute(_TELL_POSTGRESQL, [""])
