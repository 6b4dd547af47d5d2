"""The composed ASGI application: sockets refused, the server's life cycle followed."""

from __future__ import annotations

import asyncio

from opsplatform.asgi import application


def converse(kind, *messages):
    """Send the messages of a connection and return what comes back."""
    waiting = list(messages)
    answers = []

    async def receive():
        return {"type": waiting.pop(0)}

    async def send(message):
        answers.append(message)

    asyncio.run(application({"type": kind, "path": "/ws/notifications"}, receive, send))
    return answers


def test_a_socket_is_closed_before_it_is_accepted():
    assert converse("websocket", "websocket.connect") == [{"type": "websocket.close", "code": 1001}]


def test_the_life_cycle_is_confirmed():
    assert converse("lifespan", "lifespan.startup", "lifespan.shutdown") == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]
