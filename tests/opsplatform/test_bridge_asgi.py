"""The composed ASGI application: sockets of strangers refused, the server's life followed."""

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

    scope = {
        "type": kind,
        "path": "/ws/notifications",
        "headers": [(b"host", b"elsewhere.example")],
    }
    asyncio.run(application(scope, receive, send))
    return answers


def test_a_socket_under_another_name_is_closed_before_it_is_accepted():
    assert converse("websocket", "websocket.connect") == [{"type": "websocket.close", "code": 4403}]


def test_the_life_cycle_is_confirmed():
    assert converse("lifespan", "lifespan.startup", "lifespan.shutdown") == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]
