"""Dispatchers and routers that are killed: loaded once, forked for each life.

Run as `python -m tests.support.dispatchers <file of marks>`. Each line on stdin is one life,
`<loop> step <n>` or `<loop> after <milliseconds>`: the process kills itself just before its n-th
step, or so long after its first one; with `step 0` it lives to the end. A step is each statement
before and after it, each commit, and each message before and after it is sent. The answer is
`killed` or `ended <steps>`.

Into the file of marks go `begin <key>` before a message leaves and `end <key>` once its outcome is
stored: what begins and does not end was on its way when its dispatcher died.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Steps:
    """Counts what a life has done, and ends it."""

    def __init__(self, how: str, number: float) -> None:
        self.count = 0
        self._how = how
        self._number = number
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.count += 1
            if self._how == "step" and self.count == self._number:
                self.die()
            if self._how == "after" and self.count == 1:
                timer = threading.Timer(self._number / 1000, self.die)
                timer.daemon = True
                timer.start()

    @staticmethod
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Load the platform, then fork for every line."""
    import django

    django.setup()
    # Loaded before the forks, so that no life has to.
    from core.loops import all_loops

    all_loops()
    marks = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for line in sys.stdin:
        loop, how, number = line.split()
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            _live(loop, Steps(how, float(number)), marks, theirs)
        os.close(theirs)
        told = os.read(ours, 20).decode()
        os.close(ours)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            _answer("killed")
        else:
            _answer(f"ended {told}" if told else "failed")


def _answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _live(loop: str, steps: Steps, marks: int, pipe: int) -> None:
    """Do what is due, and leave without the parent's clean-up."""
    code = 1
    try:
        _count(steps, marks)
        if loop == "route":
            asyncio.run(_route())
        else:
            asyncio.run(_dispatch())
        os.write(pipe, str(steps.count).encode())
        code = 0
    finally:
        # A fork must not go on as its parent would, whatever happened.
        if code:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)


async def _dispatch() -> None:
    from notifications.services.dispatch import Dispatcher

    dispatcher = Dispatcher()
    await dispatcher()
    await dispatcher.drain()
    await dispatcher.close()


async def _route() -> None:
    from core.loops import all_loops, run_once

    await run_once(all_loops()["notifications.route"])


def _count(steps: Steps, marks: int) -> None:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.signals import connection_created

    from notifications.services import dispatch, results

    def around(execute: Callable[..., Any], *given: Any) -> Any:
        steps()
        found = execute(*given)
        steps()
        return found

    def attend(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(around)

    connection_created.connect(attend, weak=False)

    commit = BaseDatabaseWrapper._commit

    def committing(database: Any) -> None:
        steps()
        commit(database)
        steps()

    attempt = dispatch._attempt

    async def attempting(sender: Any, message: Any) -> Any:
        os.write(marks, f"begin {message.idempotency_key}\n".encode())
        steps()
        result = await attempt(sender, message)
        steps()
        return result

    finish = results.finish

    def finishing(**given: Any) -> bool:
        go_on = finish(**given)
        for result in given["results"]:
            os.write(marks, f"end {result.message.idempotency_key}\n".encode())
        return go_on

    BaseDatabaseWrapper._commit = committing
    dispatch._attempt = attempting
    results.finish = finishing


if __name__ == "__main__":
    main()
