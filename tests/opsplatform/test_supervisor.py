"""What the supervisor does when the system has no room for a process."""

import os
import socket
from pathlib import Path

from opsplatform.supervisor.supervisor import Supervisor


def _descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_fork_that_is_refused_is_tried_again_and_costs_no_descriptor(monkeypatch, capsys):
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("opsplatform.supervisor.child.os.fork", refuse)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        lock = os.open(os.devnull, os.O_RDONLY)
        supervisor = Supervisor(listener, lock=lock, first_lines=[])
        before = _descriptors()
        supervisor._start("worker")
        after = _descriptors()
        os.close(lock)

    assert after == before
    assert set(supervisor._due) == {"worker"}
    assert supervisor._children == {}
    assert "worker cannot be started" in capsys.readouterr().out
