import asyncio

import pytest
from django.db import OperationalError

from core import leases, runner
from core.leases import Held, LeaseLostError
from core.loops import Loop


def test_a_loop_keeps_its_memory_while_the_database_is_away(monkeypatch):
    answers = [OperationalError("away"), OperationalError("away"), True, False]

    def renew(held, *, seconds):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(leases, "renew", renew)
    loop = Loop(name="test", period_seconds=1, lease_seconds=0.03, start=lambda: None, why="Test.")
    with pytest.raises(LeaseLostError):
        asyncio.run(runner._Runner([loop])._renew(loop, Held("test", "me", 1)))  # no other way in

    assert answers == []
