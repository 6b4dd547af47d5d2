"""Names are looked up once, remembered within limits, and outlive a dead name server."""

import asyncio
from types import SimpleNamespace

import pytest
from aiodns import error as ares

from core.resolver import LookUpError, Resolver


class Server:
    """Stands for aiodns; its answers, failures and silences are the test's."""

    def __init__(self):
        self.asked = 0
        self.ttl = 60
        self.failure = None
        self.silent = None

    async def getaddrinfo(self, _host, **_options):
        """Answer, fail or wait."""
        self.asked += 1
        if self.silent is not None:
            await self.silent.wait()
        if self.failure is not None:
            raise ares.DNSError(self.failure, "words")
        node = SimpleNamespace(family=2, addr=(b"192.0.2.1", 0), ttl=self.ttl)
        return SimpleNamespace(nodes=[node])

    async def close(self):
        """Nothing is open."""


@pytest.fixture
def clock():
    return SimpleNamespace(now=1000.0)


def run(clock, scenario):
    async def main():
        resolver, server = Resolver(clock=lambda: clock.now), Server()
        resolver._channels[None] = server
        try:
            return await scenario(resolver, server)
        finally:
            await resolver.close()

    return asyncio.run(main())


FOUND = ((2, "192.0.2.1"),)


@pytest.mark.parametrize(("ttl", "held"), [(60, 60), (0, 5), (86_400, 300)])
def test_an_answer_holds_as_long_as_its_record_says_within_limits(clock, ttl, held):
    async def scenario(resolver, server):
        server.ttl = ttl
        for seconds in (0, held - 0.1):
            clock.now = 1000 + seconds
            assert await resolver.addresses("A.example") == FOUND
        asked = server.asked
        clock.now = 1000 + held
        await resolver.addresses("a.example")
        return asked, server.asked

    assert run(clock, scenario) == (1, 2)


def test_many_who_ask_at_once_cause_one_question(clock):
    async def scenario(resolver, server):
        found = await asyncio.gather(*(resolver.addresses("a.example") for _ in range(50)))
        return set(found), server.asked

    assert run(clock, scenario) == ({FOUND}, 1)


def test_a_name_server_that_fails_gets_ten_minutes(clock):
    async def scenario(resolver, server):
        await resolver.addresses("a.example")
        server.failure = ares.ARES_ETIMEOUT
        clock.now += 61
        assert await resolver.addresses("a.example") == FOUND
        assert await resolver.addresses("a.example") == FOUND
        asked = server.asked
        clock.now += 600
        with pytest.raises(LookUpError) as failed:
            await resolver.addresses("a.example")
        return asked, failed.value.strerror, failed.value.is_missing

    assert run(clock, scenario) == (2, "The name server does not answer", False)


def test_a_silent_name_server_holds_nobody_up_who_had_an_answer(clock):
    async def scenario(resolver, server):
        await resolver.addresses("a.example")
        server.silent = asyncio.Event()
        clock.now += 61
        return await resolver.addresses("a.example")

    assert run(clock, scenario) == FOUND


def test_a_name_that_is_gone_is_gone_at_once(clock):
    async def scenario(resolver, server):
        await resolver.addresses("a.example")
        server.failure = ares.ARES_ENOTFOUND
        clock.now += 61
        for _ in range(2):
            with pytest.raises(LookUpError) as failed:
                await resolver.addresses("a.example")
            assert failed.value.is_missing

    run(clock, scenario)


def test_memory_is_bounded_and_the_oldest_answers_leave(clock, monkeypatch):
    monkeypatch.setattr("core.resolver.MOST_NAMES", 2)

    async def scenario(resolver, _server):
        for name in ("a", "b", "c"):
            await resolver.addresses(name)
        return [name for name, _ in resolver._known]

    assert run(clock, scenario) == ["b", "c"]
