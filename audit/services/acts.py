"""The transaction of an act: with its audit row, or not at all."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from audit.engine.watched import written_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

# What tells the triggers that the application itself writes; it ends with the transaction.
_TELL_POSTGRESQL: Final = "SELECT set_config('ops.audit', %s, true)"
_TELL_SQLITE: Final = "INSERT OR IGNORE INTO audit_ctx (id) VALUES (1)"
_UNTELL_SQLITE: Final = "DELETE FROM audit_ctx"
_SAVEPOINTS: Final = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")


class UnrecordedActError(RuntimeError):
    """A service changed a watched table and left no record: a fault of the code."""


@dataclass(frozen=True, slots=True)
class _State:
    """What a savepoint takes along when it rolls back."""

    records: int = 0
    touched: str = ""
    is_told: bool = False


class _Acts(threading.local):
    depth = 0
    unwatched = 0
    state = _State()

    def __init__(self) -> None:
        self.savepoints: list[tuple[str, _State]] = []
        self.later: list[Callable[[], bool]] = []
        # What stands in a transaction that may yet roll back; then it is written again.
        self.unsure: dict[int, Callable[[], bool]] = {}


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
        with _depth(), transaction.atomic(), connection.execute_wrapper(_attend):
            yield
            _refuse_if_unrecorded()
            if not _acts.unwatched:
                _untell()
    finally:
        later, _acts.later = _acts.later, []
        for write in later:
            write_apart(write)


@contextmanager
def unwatched(reason: str) -> Iterator[None]:
    """Change watched tables without a record: for migrations, set-up and the flush of tests.

    The reason is for readers of the code. The block is a transaction.
    """
    assert reason, "Say why nobody needs to know."  # noqa: S101  # a fault of the code
    before = _acts.state
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
            _acts.state = before


def note_record() -> None:
    """Remember that the running act has left its record."""
    _acts.state = replace(_acts.state, records=_acts.state.records + 1)


def write_apart(write: Callable[[], bool]) -> None:
    """Call it once the running act has ended, or now where there is none.

    In a transaction that is no act it is called now, and once more if that transaction takes it
    along when it rolls back. `write` tells whether it wrote into the database.
    """
    if _acts.depth:
        _acts.later.append(write)
        return
    database: Any = connections[DEFAULT_DB_ALIAS]
    if not database.in_atomic_block:
        _write_unsure()
    # The end of a test undoes everything on purpose.
    is_final = not database.atomic_blocks or database.atomic_blocks[0]._from_testcase  # noqa: SLF001  # how Django tells
    if not write() or is_final:
        return
    _acts.unsure[id(write)] = write
    transaction.on_commit(lambda: _acts.unsure.pop(id(write), None))
    if "set_autocommit" not in vars(database):
        _notice_the_end(database)


def _notice_the_end(database: Any) -> None:  # noqa: ANN401  # a connection of either kind
    """Write anew, right after the transaction, what it took along: Django tells of no rollback."""

    def then(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        # The last that Django calls when a transaction ends, whichever way it did.
        del database.set_autocommit
        try:
            database.set_autocommit(*args, **kwargs)
        finally:
            _write_unsure()

    database.set_autocommit = then


def _write_unsure() -> None:
    unsure, _acts.unsure = _acts.unsure, {}
    for write in unsure.values():
        write()


@contextmanager
def _depth() -> Iterator[None]:
    before = _acts.state
    _acts.depth, _acts.savepoints = 1, []
    _acts.state = _State(is_told=before.is_told)
    try:
        yield
    finally:
        _acts.depth, _acts.state = 0, before


def _refuse_if_unrecorded() -> None:
    if _acts.state.touched and not _acts.state.records:
        message = f"An act changed {_acts.state.touched} and left no audit record."
        raise UnrecordedActError(message)


def _attend(
    execute: Callable[..., Any],
    sql: Any,  # noqa: ANN401  # a text, or composed by psycopg
    params: Any,  # noqa: ANN401  # Django's signature
    many: bool,  # noqa: FBT001  # the same
    context: dict[str, Any],
) -> Any:  # noqa: ANN401  # the same
    """Tell the triggers of the act just before its first write: most acts write no such table."""
    if not isinstance(sql, str):
        return execute(sql, params, many, context)
    if sql.startswith(_SAVEPOINTS):
        found = execute(sql, params, many, context)
        _follow(sql)
        return found
    table = written_table(sql)
    if not table:
        return execute(sql, params, many, context)
    _tell(context["connection"])
    found = execute(sql, params, many, context)
    if not _acts.unwatched and _has_changed(sql, context):
        _acts.state = replace(_acts.state, touched=table)
    return found


def _follow(sql: str) -> None:
    """Go back with a savepoint to what was known when it was made."""
    verb, *_, name = sql.split()
    if verb == "SAVEPOINT":
        _acts.savepoints.append((name, _acts.state))
        return
    while _acts.savepoints:
        found, state = _acts.savepoints.pop()
        if found == name:
            if verb == "ROLLBACK":
                _acts.state = state
                _acts.savepoints.append((found, state))
            return


def _has_changed(sql: str, context: dict[str, Any]) -> bool:
    if context["cursor"].rowcount:
        return True
    # SQLite counts the rows of RETURNING only while they are fetched: it may have changed some.
    return context["connection"].vendor == "sqlite" and "RETURNING" in sql.upper()


def _tell(database: Any) -> None:  # noqa: ANN401  # a connection of either kind
    if _acts.state.is_told:
        return
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(_TELL_POSTGRESQL, ["act"])
        else:
            cursor.execute(_TELL_SQLITE)
    _acts.state = replace(_acts.state, is_told=True)


def _untell() -> None:
    """Take it back before the end: an outer transaction may go on without the act."""
    if not _acts.state.is_told:
        return
    _acts.state = replace(_acts.state, is_told=False)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(_UNTELL_SQLITE)
        elif connection.savepoint_ids:
            cursor.execute(_TELL_POSTGRESQL, [""])
